//! Soft bounces, and the deliveries that take them back.

use std::collections::BTreeSet;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};

use super::Work;
use super::batch::{AT_ONCE, Outcomes, Read};
use crate::aws::CallError;
use crate::metrics::Metric;
use crate::policy::soft_bounce::{EARLIER, SoftBounces, soft_bounced};
use crate::resend::event::{Event, EventType};
use crate::resend::recipient::Recipient;
use crate::store::soft_bounces::{BATCH, Followed};
use crate::store::{as_number, row};
use crate::time::UnixMillis;

impl Work<'_> {
    /// Remembers a soft bounce of each recipient that it is about, unless the email was delivered; and suppresses them, if that follows.
    pub(super) async fn bounced_softly(&self, read: &Read<'_>, event: &Event<'_>) -> Result<(), CallError> {
        let received = &read.entry.received;
        let (email_id, at) = (&received.partition, received.happened_at(event));
        // Where protect is late, deliveries that came after it may have been passed already.
        let is_late = received.at.plus(EARLIER) < self.now;
        let since = if is_late { self.now } else { received.at };
        for recipient in soft_bounced(event) {
            let mut deliveries = self.deliveries(email_id, &recipient).await?;
            let bounced = |known: Option<SoftBounces>, deliveries: &[UnixMillis]| {
                let known = known.unwrap_or_else(|| SoftBounces::begun(since));
                let known = known.bounced(email_id, at, &received.message);
                Some(deliveries.iter().fold(known, |known, at| known.delivered(email_id, *at)))
            };
            let followed = self.change_softly(&recipient, |known| bounced(known, &deliveries)).await?;
            if followed == Followed::Suppressed {
                // Of an email that was delivered in between, nobody knew yet that it had bounced.
                deliveries = self.deliveries(email_id, &recipient).await?;
                self.change_softly(&recipient, |known| bounced(known, &deliveries)).await?;
            }
        }
        Ok(())
    }

    async fn change_softly(
        &self,
        recipient: &Recipient,
        change: impl Fn(Option<SoftBounces>) -> Option<SoftBounces>,
    ) -> Result<Followed, CallError> {
        let policy = &self.protector.config.policy.soft_bounces;
        let followed = self.soft_bounces.change(recipient, policy, self.now, change).await?;
        if followed == Followed::Suppressed {
            self.tally.one(Metric::SuppressedSoftBounce);
        }
        Ok(followed)
    }

    /// When an email was delivered to a recipient, as far as its stored webhooks say.
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

    /// Takes back soft bounces of those to whom emails of the batch were delivered. Who of them has any is looked up for all together.
    pub(super) async fn delivered(&self, reads: &[Result<Read<'_>, CallError>], outcomes: &mut Outcomes) {
        let deliveries: Vec<(usize, &Read<'_>, Vec<Recipient>)> = reads
            .iter()
            .enumerate()
            .filter(|(index, _)| outcomes.get(*index) == Some(&Ok(())))
            .filter_map(|(index, read)| {
                let read = read.as_ref().ok()?;
                let event =
                    read.event.as_ref().filter(|event| event.event_type() == Some(EventType::EmailDelivered))?;
                Some((index, read, delivered_to(event)))
            })
            .collect();
        let all: BTreeSet<&Recipient> = deliveries.iter().flat_map(|(.., to)| to).collect();
        let all: Vec<&Recipient> = all.into_iter().collect();
        // Boxed: the compiler can't tell that a stream of unboxed ones may move to another thread.
        let looks: Vec<BoxFuture<'_, _>> =
            all.chunks(BATCH).map(|some| self.soft_bounces.among(some).boxed()).collect();
        let looks: Vec<Result<Vec<Recipient>, CallError>> =
            stream::iter(looks).buffer_unordered(AT_ONCE).collect().await;
        let mut with_bounces = BTreeSet::new();
        let mut trouble = None;
        for look in looks {
            match look {
                Ok(some) => with_bounces.extend(some),
                Err(why) => trouble = Some(why),
            }
        }
        for (index, read, to) in deliveries {
            let done = match &trouble {
                Some(trouble) => Err(trouble.clone()),
                None => self.take_back(read, to.iter().filter(|one| with_bounces.contains(*one))).await,
            };
            if let (Err(trouble), Some(outcome)) = (done, outcomes.get_mut(index)) {
                *outcome = Err(trouble);
            }
        }
    }

    async fn take_back<'a>(&self, read: &Read<'_>, to: impl Iterator<Item = &'a Recipient>) -> Result<(), CallError> {
        let Some(event) = &read.event else { return Ok(()) };
        let received = &read.entry.received;
        let at = received.happened_at(event);
        for recipient in to {
            self.change_softly(recipient, |known| Some(known?.delivered(&received.partition, at))).await?;
        }
        Ok(())
    }
}

/// Whom a delivery is about. Today's Resend names one; of several, as older bodies name them, each may have got it.
fn delivered_to(event: &Event<'_>) -> Vec<Recipient> {
    event.addressees().all()
}
