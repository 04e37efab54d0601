//! Soft bounces, and the deliveries that cancel them.

use std::collections::BTreeSet;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};

use super::record::{BatchRecord, MAX_CONCURRENT, ParsedEvent, pending};
use super::run::{Activity, ProtectRun};
use crate::aws::CallError;
use crate::policy::bounce::soft_bounced;
use crate::policy::limits::SoftBouncePolicy;
use crate::policy::soft_bounce::{EARLIER, SoftBounces};
use crate::resend::event::{Event, EventType};
use crate::resend::recipient::Recipient;
use crate::store::soft_bounces::{BATCH, SoftBounceChange, SoftBounceTable};
use crate::store::timeline::Timeline;
use crate::store::{as_number, row};
use crate::time::UnixMillis;

/// Tracks the soft bounces of recipients.
pub(super) struct SoftBounceTracker<'a> {
    pub(super) table: &'a SoftBounceTable,
    pub(super) timeline: &'a Timeline,
    pub(super) policy: &'a SoftBouncePolicy,
    pub(super) run: ProtectRun<'a>,
}

impl SoftBounceTracker<'_> {
    /// Records a soft bounce of each recipient, unless the email was delivered. Suppresses the recipient if the policy
    /// says so.
    pub(super) async fn bounced(&self, parsed: &ParsedEvent<'_>, event: &Event<'_>) -> Result<(), CallError> {
        let received = &parsed.row.received;
        let (email_id, at) = (&received.partition, received.happened_at(event));
        // If protect is late, it may have skipped later deliveries already.
        let is_late = received.at.plus(EARLIER) < self.run.now;
        let since = if is_late { self.run.now } else { received.at };
        for recipient in soft_bounced(event) {
            let mut deliveries = self.deliveries(email_id, &recipient).await?;
            let bounced = |known: Option<SoftBounces>, deliveries: &[UnixMillis]| {
                let known = known.unwrap_or_else(|| SoftBounces::begun(since));
                let known = known.bounced(email_id, at, &received.message);
                Some(deliveries.iter().fold(known, |known, at| known.delivered(email_id, *at)))
            };
            let followed = self.change(&recipient, |known| bounced(known, &deliveries)).await?;
            if followed == SoftBounceChange::Suppressed {
                // If the email was delivered meanwhile, its bounce was not known yet.
                deliveries = self.deliveries(email_id, &recipient).await?;
                self.change(&recipient, |known| bounced(known, &deliveries)).await?;
            }
        }
        Ok(())
    }

    async fn change(
        &self,
        recipient: &Recipient,
        change: impl Fn(Option<SoftBounces>) -> Option<SoftBounces>,
    ) -> Result<SoftBounceChange, CallError> {
        let followed = self.table.change(recipient, self.policy, self.run.now, change).await?;
        if followed != SoftBounceChange::Nothing {
            let is_new = followed == SoftBounceChange::Suppressed;
            self.run.did.add(Activity::SuppressionChanged { recipient: recipient.clone(), is_new });
        }
        Ok(followed)
    }

    /// Returns the times at which an email was delivered to a recipient, by its stored webhooks.
    async fn deliveries(&self, email_id: &str, recipient: &Recipient) -> Result<Vec<UnixMillis>, CallError> {
        let rows = self.timeline.of_type(email_id, EventType::EmailDelivered).await?;
        let delivery = |row: &crate::store::Item| {
            let body = row::payload(row)?;
            let event = Event::read(&body).ok()?;
            let to = delivered_to(&event);
            let received_at = UnixMillis(row.get("received_at").and_then(as_number)?);
            (to.is_empty() || to.contains(recipient)).then(|| event.happened_at(received_at))
        };
        Ok(rows.iter().filter_map(delivery).collect())
    }

    /// Cancels soft bounces of the recipients to whom emails of the batch were delivered. All are looked up together.
    pub(super) async fn delivered(&self, batch: &[BatchRecord<'_>]) {
        let deliveries: Vec<EmailDelivery<'_, '_>> = pending(batch).filter_map(EmailDelivery::of).collect();
        let all: BTreeSet<&Recipient> = deliveries.iter().flat_map(|delivered| &delivered.to).collect();
        let with_bounces = self.with_bounces(all.into_iter().collect()).await;
        for delivered in &deliveries {
            delivered.record.note(match &with_bounces {
                Ok(with_bounces) => self.take_back(delivered, with_bounces).await,
                Err(error) => Err(error.clone()),
            });
        }
    }

    /// Returns the recipients that have soft bounces.
    async fn with_bounces(&self, recipients: Vec<&Recipient>) -> Result<BTreeSet<Recipient>, CallError> {
        // Boxed: the compiler cannot prove that a stream of unboxed futures is `Send`.
        let looks: Vec<BoxFuture<'_, _>> =
            recipients.chunks(BATCH).map(|some| self.table.among(some).boxed()).collect();
        let looks: Vec<Result<Vec<Recipient>, CallError>> =
            stream::iter(looks).buffer_unordered(MAX_CONCURRENT).collect().await;
        let found: Vec<Vec<Recipient>> = looks.into_iter().collect::<Result<_, _>>()?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn take_back(
        &self,
        delivered: &EmailDelivery<'_, '_>,
        with_bounces: &BTreeSet<Recipient>,
    ) -> Result<(), CallError> {
        for recipient in delivered.to.iter().filter(|one| with_bounces.contains(*one)) {
            self.change(recipient, |known| Some(known?.delivered(delivered.email_id, delivered.at))).await?;
        }
        Ok(())
    }
}

/// A delivery of the batch.
struct EmailDelivery<'b, 'a> {
    record: &'b BatchRecord<'a>,
    email_id: &'b str,
    at: UnixMillis,
    to: Vec<Recipient>,
}

impl<'b, 'a> EmailDelivery<'b, 'a> {
    fn of((record, parsed): (&'b BatchRecord<'a>, &'b ParsedEvent<'a>)) -> Option<Self> {
        let event = parsed.event.as_ref().filter(|event| event.event_type() == Some(EventType::EmailDelivered))?;
        let received = &parsed.row.received;
        let (email_id, at) = (received.partition.as_str(), received.happened_at(event));
        Some(Self { record, email_id, at, to: delivered_to(event) })
    }
}

/// Returns the recipients of a delivery. Resend names one today; older bodies name several, and each may have received
/// the email.
fn delivered_to(event: &Event<'_>) -> Vec<Recipient> {
    event.recipients().into_vec()
}
