//! One happening, decided once: claimed, chosen, guarded, stored, and then published.

use std::time::Duration;

use super::advise::{Advice, Silence};
use super::facts::{self, Standing};
use super::look::Happened;
use super::{LEASE, Outcome, Work};
use crate::decision::{Receipt, wording};
use crate::metrics::Metric;
use crate::policy::brake::Brake;
use crate::queue::Delivery;
use crate::store::calls::Trouble;
use crate::store::decisions::{Claim, Decided, Happening, Stored};
use crate::store::followups::followups;

/// How often the guards look again, when what they went by changes while they do.
const TRIES: u32 = 5;

impl Work<'_> {
    /// Decides about a happening that qualifies, unless that is done, or another message is at it.
    pub(super) async fn decide(
        &self,
        happened: &Happened,
        delivery: &Delivery,
        silence: &mut Option<Silence>,
    ) -> Result<Outcome, Trouble> {
        let happening = &happened.happening;
        let carrier = delivery.message_id.as_str();
        match self.decisions.claim(happening, carrier, self.now, LEASE, happened.expires_at).await? {
            // Its carrier is delivered until it is done.
            Claim::Anothers => return Ok(Outcome::Done),
            Claim::Decided(decided) => return self.publish(happening, decided, delivery).await,
            Claim::Ours => {}
        }
        let forgotten = self.forgotten().await?;
        let mut standing = Vec::new();
        for recipient in &happened.recipients {
            standing.push(Standing {
                suppressed: self.suppressions.standing(recipient, forgotten.as_ref(), self.now).await?,
                followups: followups(&self.calls, &self.config.recipients_table, recipient).await?,
            });
        }
        let brake = self.brake(happened).await?;
        let facts = facts::completed(
            happened.facts.clone(),
            brake.as_ref(),
            &standing,
            &happening.email_id,
            self.config,
            self.now,
        );
        let (choice, asked) = match self.advise(happened, &facts, delivery, silence).await? {
            Advice::Given(given) => *given,
            Advice::Later { why, wait } => return Ok(Outcome::Later { why, wait }),
        };
        let mut receipt = Receipt {
            id: happening.decision_id(),
            at: self.now.to_text(),
            email_id: happening.email_id.clone(),
            event: happening.event_type.to_owned(),
            message: happened.message.as_str().to_owned(),
            event_at: happened.at.to_text(),
            recipients: happened.recipients.iter().map(|recipient| recipient.as_str().to_owned()).collect(),
            campaign: happened.campaign.clone(),
            verdict: happened.judgement.verdict,
            score: happened.judgement.score,
            reasons: happened.judgement.reasons.clone(),
            facts,
            asked,
            choice,
            guards: Vec::new(),
            done: crate::decision::Done::Nothing(String::new()),
            followup: None,
        };
        for _ in 0..TRIES {
            let ruled = self.rule(happened, &receipt.choice).await?;
            (receipt.guards, receipt.done, receipt.followup) = (ruled.guards, ruled.done, ruled.followup);
            let decided = Decided {
                receipt: serde_json::to_string(&receipt).map_err(|error| Trouble::Never(error.to_string()))?,
                is_settled: receipt.done.kind().is_none(),
                carrier: carrier.to_owned(),
                at: self.now,
            };
            let place = ruled.place.as_ref().map(|place| (place, ruled.names.as_slice()));
            match self.decisions.decide(happening, &decided, place).await? {
                Stored::Decided(stored) => {
                    if stored == decided {
                        self.tally.one(Metric::of_decision(&receipt.done));
                        self.tally.one(Metric::of_chooser(receipt.asked.by));
                    }
                    return self.publish(happening, stored, delivery).await;
                }
                Stored::Changed => {}
            }
        }
        Err(Trouble::Passing("what the guards go by kept changing".to_owned()))
    }

    /// The campaign's brake, as it is now.
    pub(super) async fn brake(&self, happened: &Happened) -> Result<Option<Brake>, Trouble> {
        Ok(self.campaigns.state(&happened.campaign).await?.map(|state| state.brake))
    }

    /// Publishes a decision that was found unpublished. It is read again before: another message, of this very batch perhaps, may
    /// have published it since.
    pub(super) async fn publish_late(&self, happening: &Happening, delivery: &Delivery) -> Result<Outcome, Trouble> {
        match self.decisions.decided(happening).await? {
            Some(decided) => self.publish(happening, decided, delivery).await,
            None => Ok(Outcome::Done),
        }
    }

    /// Publishes a decision as it is stored, and notes that. Whoever did not bring it about leaves it to whoever did, unless that
    /// must be dead.
    async fn publish(&self, happening: &Happening, decided: Decided, delivery: &Delivery) -> Result<Outcome, Trouble> {
        let is_anothers = decided.carrier != delivery.message_id && decided.at.plus(LEASE) > self.now;
        if decided.is_settled || is_anothers {
            return Ok(Outcome::Done);
        }
        let receipt: Receipt =
            serde_json::from_str(&decided.receipt).map_err(|error| Trouble::Never(error.to_string()))?;
        let notice = wording::notice(&receipt).map_err(|error| Trouble::Never(error.to_string()))?;
        let Some(notice) = notice else { return Ok(Outcome::Done) };
        match self.engager.topic.publish(&notice, self.deadline).await {
            Ok(message) => self.decisions.note_published(happening, &message, self.now).await?,
            Err(Trouble::Passing(why)) => return Ok(Outcome::Later { why, wait: Duration::ZERO }),
            Err(Trouble::Never(why)) => {
                tracing::error!(error = why, decision = receipt.id, "never published; it is in the events table");
                self.decisions.note_refused(happening, &why).await?;
            }
        }
        Ok(Outcome::Done)
    }
}
