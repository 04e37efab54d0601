//! Tick: what is due, whether or not anything happens.

use tokio::time::Instant;

use super::effects::DelayedMail;
use super::tell::Told;
use super::{TickReport, Work};
use crate::aws::CallError;
use crate::message::alert::wording::{self, Standing};
use crate::policy::brake::Status;
use crate::resend::campaign::Campaign;
use crate::resend::recipient::Recipient;
use crate::store::agenda::{Entry, Kind};
use crate::store::timeline::Carrier;
use crate::time::{UnixMillis, days, hours};

/// The most entries of a kind that one tick looks at. The next one goes on.
const AT_MOST: usize = 2_000;

/// How long a digest that was sent stays, so that nothing is folded into it any more.
const CLOSED_HOURS: u32 = 3;

/// How long the record of a digest is kept.
const KEPT_DAYS: u32 = 90;

/// What a tick works off, in this order. What needs nobody but DynamoDB comes first, and what needs SNS alone comes last.
const KINDS: [Kind; 5] = [Kind::Brake, Kind::Delay, Kind::Domain, Kind::Digest, Kind::Publish];

impl Work<'_> {
    pub(super) async fn tick(&self) -> TickReport {
        let mut report = TickReport::default();
        for (kind, kinds_left) in KINDS.into_iter().zip((1..=KINDS.len()).rev()) {
            let until = share(Instant::now(), self.deadline, kinds_left);
            if let Err(trouble) = self.work_off(kind, until, &mut report).await {
                report.troubles.push(trouble);
            }
        }
        report
    }

    /// Works off what is due of one kind, until its share of the time is over.
    async fn work_off(&self, kind: Kind, until: Instant, report: &mut TickReport) -> Result<(), CallError> {
        let mut entries = self.agenda.due(kind, self.now, AT_MOST).await?;
        // Where the time is not enough for all, or one of them always fails, others must come first the next time.
        fastrand::shuffle(&mut entries);
        let number = entries.len();
        for (done, entry) in entries.into_iter().enumerate() {
            if Instant::now() >= until {
                let (kind, left) = (kind.as_str(), number - done);
                return Err(CallError::Transient(format!("{kind}: there was no time for {left} of {number}")));
            }
            if let (Kind::Publish, Some(why)) = (kind, self.sns.failure()) {
                return Err(CallError::Transient(format!(
                    "{} of {number} alerts are not published: {why}",
                    number - done
                )));
            }
            report.looked_at += 1;
            let done = match kind {
                Kind::Publish => self.publish_again(&entry).await,
                Kind::Brake => self.brake_again(&entry).await,
                Kind::Digest => self.digest(&entry).await,
                Kind::Delay => self.delay_again(&entry).await,
                Kind::Domain => self.domain_again(&entry).await,
                // Nothing is due of these.
                Kind::Lift | Kind::Push => Ok(()),
            };
            report.troubles.extend(done.err());
        }
        Ok(())
    }

    async fn brake_again(&self, entry: &Entry) -> Result<(), CallError> {
        let Some(campaign) = Campaign::new(entry.text("campaign")) else { return self.agenda.delete(entry).await };
        let braked = self.brake(&campaign, &Carrier::Tick).await?;
        if braked.state.brake.status == Status::Open && !braked.state.is_to_be_told() {
            self.agenda.delete(entry).await?;
        }
        Ok(())
    }

    async fn digest(&self, entry: &Entry) -> Result<(), CallError> {
        let is_old = entry.due.plus(hours(CLOSED_HOURS)) < self.now;
        if entry.item.contains_key("sent") {
            return if is_old { self.agenda.delete(entry).await } else { Ok(()) };
        }
        // Closed first: what is folded after this finds it closed and takes the next.
        let Some(closed) = self.agenda.close(entry).await? else { return Ok(()) };
        let campaign = Campaign::new(closed.text("campaign"));
        let braked = match &campaign {
            Some(campaign) => Some(self.brake(campaign, &Carrier::Tick).await?),
            None => None,
        };
        let standing =
            braked.as_ref().map(|braked| Standing { view: &braked.view, state: &braked.state, now: self.now });
        let folded = closed.number("folded").unwrap_or(0);
        let alert = wording::digest(closed.text("of"), campaign.as_ref(), folded, closed.due, standing);
        let about = campaign.as_ref().map_or_else(|| "digest".to_owned(), |campaign| format!("campaign#{campaign}"));
        if self.tell(alert, &about, &Carrier::Tick, self.now.plus(days(KEPT_DAYS))).await? == Told::Settled {
            self.agenda.note_sent(entry).await?;
        }
        Ok(())
    }

    async fn delay_again(&self, entry: &Entry) -> Result<(), CallError> {
        let Some(recipient) = Recipient::parse(entry.text("recipient")) else { return self.agenda.delete(entry).await };
        let campaign = Campaign::new(entry.text("campaign"));
        let millis = |name: &str| entry.number(name).map(UnixMillis);
        let mail = DelayedMail {
            email_id: entry.text("email_id"),
            recipient: &recipient,
            campaign: campaign.as_ref(),
            delayed_at: millis("delayed_at").unwrap_or(entry.due),
            expires_at: millis("keep_until").unwrap_or_else(|| self.now.plus(days(KEPT_DAYS))),
        };
        match self.look_at_delay(&mail, &Carrier::Tick).await? {
            // Another is at it, or it is not due yet after all.
            Some(due) if due <= self.now || due == entry.due => Ok(()),
            Some(_) | None => self.agenda.delete(entry).await,
        }
    }
}

/// Until when one kind may take, so that each of those left has as much time as it at least.
fn share(now: Instant, deadline: Instant, kinds_left: usize) -> Instant {
    let parts = u32::try_from(kinds_left.max(1)).unwrap_or(u32::MAX);
    now + deadline.saturating_duration_since(now) / parts
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_kind_has_its_share_and_the_last_what_is_left() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(share(start, at(40), 4), at(10));
        assert_eq!(share(at(1), at(40), 3), at(14), "what one does not need the others have");
        assert_eq!(share(at(14), at(40), 1), at(40));
        assert_eq!(share(at(50), at(40), 2), at(50), "there is no time left");
    }
}
