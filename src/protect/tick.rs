//! Tick: what is due, whether or not anything happens.

use tokio::time::Instant;

use super::effects::DelayedMail;
use super::tell::Told;
use super::{TickReport, Work};
use crate::alert::wording::{self, Standing};
use crate::campaign::Campaign;
use crate::policy::brake::Status;
use crate::recipient::Recipient;
use crate::store::agenda::{Entry, Kind};
use crate::store::calls::Trouble;
use crate::store::timeline::Carrier;
use crate::time::{UnixMillis, days, hours};

/// The most entries of a kind that one tick looks at. The next one goes on.
const AT_MOST: usize = 2_000;

/// How long a digest that was sent stays, so that nothing is folded into it any more.
const CLOSED_HOURS: u32 = 3;

/// How long the record of a digest is kept.
const KEPT_DAYS: u32 = 90;

impl Work<'_> {
    pub(super) async fn tick(&self) -> TickReport {
        let mut report = TickReport::default();
        for kind in [Kind::Publish, Kind::Brake, Kind::Digest, Kind::Delay] {
            let entries = match self.agenda.due(kind, self.now, AT_MOST).await {
                Ok(entries) => entries,
                Err(trouble) => {
                    report.troubles.push(trouble);
                    continue;
                }
            };
            for entry in entries {
                if Instant::now() >= self.deadline {
                    report.troubles.push(Trouble::Passing("there was no time for everything".to_owned()));
                    return report;
                }
                report.looked_at += 1;
                let done = match kind {
                    Kind::Publish => self.publish_again(&entry).await,
                    Kind::Brake => self.brake_again(&entry).await,
                    Kind::Digest => self.digest(&entry).await,
                    Kind::Delay => self.delay_again(&entry).await,
                };
                report.troubles.extend(done.err());
            }
        }
        report
    }

    async fn brake_again(&self, entry: &Entry) -> Result<(), Trouble> {
        let Some(campaign) = Campaign::new(entry.text("campaign")) else { return self.agenda.delete(entry).await };
        let braked = self.brake(&campaign, &Carrier::Tick).await?;
        if braked.state.brake.status == Status::Open && !braked.state.is_to_be_told() {
            self.agenda.delete(entry).await?;
        }
        Ok(())
    }

    async fn digest(&self, entry: &Entry) -> Result<(), Trouble> {
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

    async fn delay_again(&self, entry: &Entry) -> Result<(), Trouble> {
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
