//! One happening, decided once: claimed, chosen, guarded, stored, and then published.

use std::time::Duration;

use futures_util::{FutureExt, StreamExt, stream};
use serde_json::json;

use super::ask::{Advice, ClaudeOutage};
use super::batch::{BatchMessage, MessageOutcome, NextStep};
use super::classify::Candidate;
use super::facts::{self, Standing};
use super::guards::GuardedChoice;
use super::{AT_ONCE, LEASE, Work};
use crate::aws::CallError;
use crate::aws::queue::Delivery;
use crate::message::decision::{Asked, By, Done, Receipt, wording};
use crate::message::notification::Notification;
use crate::metrics::Metric;
use crate::policy::answer::Choice;
use crate::policy::brake::Brake;
use crate::policy::followup::Guard;
use crate::policy::rules;
use crate::store::decisions::{AtOnce, Claim, Decided, Happening, Stored};
use crate::store::followups::known;

/// How often the guards look again, when what they went by changes while they do.
const TRIES: u32 = 5;

/// The result of deciding about a candidate.
pub(super) enum DecideOutcome {
    /// There is nothing to publish, or not now.
    Finished(MessageOutcome),
    /// To publish immediately: the other messages of the batch may take the rest of the time.
    Publish(Decided),
    /// To publish together with the others of the batch.
    PublishWithOthers(Decided),
}

impl Work<'_> {
    /// Decides about a happening that qualifies, unless that is done, or another message is at it.
    pub(super) async fn decide(
        &self,
        candidate: &Candidate,
        delivery: &Delivery,
        silence: &mut Option<ClaudeOutage>,
    ) -> Result<DecideOutcome, CallError> {
        let because = match candidate.opts_out {
            Some(_) => Some("a click on an opt-out or preference link is no interest".to_owned()),
            None => self.skip_reason().await,
        };
        if let Some(because) = because
            && let AtOnce::Decided(decided) =
                self.decide_without_claim(candidate, &delivery.message_id, because).await?
        {
            return Ok(DecideOutcome::PublishWithOthers(decided));
        }
        if candidate.opts_out.is_some() {
            // Nobody claims such a click. Whoever did all the same decides it.
            return Ok(DecideOutcome::Finished(MessageOutcome::Done));
        }
        self.ask(candidate, delivery, silence).await
    }

    /// Decides about a happening by asking Claude.
    async fn ask(
        &self,
        candidate: &Candidate,
        delivery: &Delivery,
        silence: &mut Option<ClaudeOutage>,
    ) -> Result<DecideOutcome, CallError> {
        let happening = &candidate.happening;
        let carrier = delivery.message_id.as_str();
        match self.decisions.claim(happening, carrier, self.now, LEASE, candidate.expires_at).await? {
            // Its carrier is delivered until it is done.
            Claim::Anothers => return Ok(DecideOutcome::Finished(MessageOutcome::Done)),
            Claim::Decided(decided) => return Ok(DecideOutcome::Publish(decided)),
            Claim::Ours => {}
        }
        let forgotten = self.forgotten().await?;
        let mut standing = Vec::new();
        for recipient in &candidate.recipients {
            let known = known(&self.calls, &self.config.recipients_table, recipient).await?;
            let mut suppressed = self.suppressions.standing(recipient, forgotten.as_ref(), self.now).await?;
            let opted_out = candidate.opt_out_click.max(known.opt_out_click).filter(|click| click.until > self.now);
            suppressed.extend(opted_out.map(|_| Guard::OptOutClick.as_str().to_owned()));
            standing.push(Standing { suppressed, followups: known.followups });
        }
        let brake = self.brake(candidate).await?;
        let facts = facts::completed(
            candidate.facts.clone(),
            brake.as_ref(),
            &standing,
            &happening.email_id,
            self.config,
            self.now,
        );
        let (choice, asked) = match self.advise(candidate, &facts, delivery, silence).await? {
            Advice::Chosen(given) => *given,
            Advice::Retry { why, wait } => return Ok(DecideOutcome::Finished(MessageOutcome::Retry { why, wait })),
        };
        let mut receipt = self.receipt(candidate, facts, choice, asked);
        for _ in 0..TRIES {
            let mut ruled = self.rule(candidate, &receipt.choice).await?;
            let (place, names) = (ruled.place.take(), std::mem::take(&mut ruled.names));
            let decided = self.decided(&mut receipt, ruled, carrier)?;
            let place = place.as_ref().map(|place| (place, names.as_slice()));
            match self.decisions.decide(happening, &decided, place).await? {
                Stored::Decided(stored) => {
                    self.tally_if_new(&receipt, stored == decided);
                    return Ok(DecideOutcome::Publish(stored));
                }
                Stored::Changed => self.know_nothing_of_forgotten().await,
            }
        }
        Err(CallError::Transient("what the guards go by kept changing".to_owned()))
    }

    /// Lets the written rules decide, where Claude would not be asked anyway. They go by the email's own rows and write to nobody, so
    /// nothing else has to be read, and nothing to be claimed: one write decides.
    async fn decide_without_claim(
        &self,
        candidate: &Candidate,
        carrier: &str,
        because: String,
    ) -> Result<AtOnce, CallError> {
        let facts = json!({ "engaged": candidate.engaged });
        let asked = Asked { by: By::Rules, because: Some(because), ..Asked::default() };
        let choice = candidate.opts_out.map_or_else(|| rules::decide(&candidate.engaged), rules::opted_out);
        let mut receipt = self.receipt(candidate, facts, choice, asked);
        let ruled = self.rule(candidate, &receipt.choice).await?;
        let decided = self.decided(&mut receipt, ruled, carrier)?;
        let stored = self.decisions.decide_at_once(&candidate.happening, &decided, candidate.expires_at).await?;
        self.tally_if_new(&receipt, stored == AtOnce::Decided(decided));
        Ok(stored)
    }

    fn receipt(&self, candidate: &Candidate, facts: serde_json::Value, choice: Choice, asked: Asked) -> Receipt {
        let happening = &candidate.happening;
        Receipt {
            id: happening.decision_id(),
            at: self.now.to_text(),
            email_id: happening.email_id.clone(),
            event: candidate.event_type.to_owned(),
            message: candidate.message.as_str().to_owned(),
            event_at: candidate.at.to_text(),
            recipients: candidate.recipients.iter().map(|recipient| recipient.as_str().to_owned()).collect(),
            campaign: candidate.campaign.clone(),
            verdict: candidate.judgement.verdict,
            score: candidate.judgement.score,
            reasons: candidate.judgement.reasons.clone(),
            facts,
            opt_out_click: candidate.opts_out.is_some(),
            asked,
            choice,
            guards: Vec::new(),
            done: Done::Nothing(String::new()),
            followup: None,
        }
    }

    /// What the guards made of a choice, in the receipt, and as it is stored.
    fn decided(&self, receipt: &mut Receipt, ruled: GuardedChoice, carrier: &str) -> Result<Decided, CallError> {
        (receipt.guards, receipt.done, receipt.followup) = (ruled.guards, ruled.done, ruled.followup);
        Ok(Decided {
            receipt: serde_json::to_string(receipt).map_err(|error| CallError::Permanent(error.to_string()))?,
            is_settled: receipt.done.kind().is_none(),
            carrier: carrier.to_owned(),
            at: self.now,
        })
    }

    fn tally_if_new(&self, receipt: &Receipt, is_new: bool) {
        if is_new {
            self.tally.one(Metric::of_decision(&receipt.done));
            self.tally.one(Metric::of_chooser(receipt.asked.by));
        }
    }

    /// The campaign's brake, as it is now.
    pub(super) async fn brake(&self, candidate: &Candidate) -> Result<Option<Brake>, CallError> {
        Ok(self.campaigns.state(&candidate.campaign).await?.map(|state| state.brake))
    }

    /// Publishes a decision that was found unpublished. It is read again before: another message, of this very batch perhaps, may
    /// have published it since.
    pub(super) async fn publish_late(
        &self,
        happening: &Happening,
        delivery: &Delivery,
    ) -> Result<MessageOutcome, CallError> {
        match self.decisions.decided(happening).await? {
            Some(decided) => self.publish(happening, &decided, delivery).await,
            None => Ok(MessageOutcome::Done),
        }
    }

    /// Publishes what the messages of a batch have to publish, in as few calls as there can be.
    pub(super) async fn publish_all(&self, messages: &mut [BatchMessage<'_>]) {
        let notices: Vec<Notification> = messages
            .iter()
            .filter_map(|message| match &message.step {
                NextStep::Publish(_, notice) => Some(notice.as_ref().clone()),
                _ => None,
            })
            .collect();
        let published = self.engager.topic.publish_all(&notices, self.deadline, &self.sns).await;
        let waiting = messages.iter_mut().filter(|message| matches!(message.step, NextStep::Publish(..)));
        let noted = waiting.zip(published).map(|(message, published)| {
            async move {
                if let NextStep::Publish(happening, _) = &message.step {
                    message.step = self.note(happening, published).await.into();
                }
            }
            .boxed()
        });
        stream::iter(noted.collect::<Vec<_>>()).buffered(AT_ONCE).collect::<()>().await;
    }

    /// Publishes a decision as it is stored, and notes that.
    pub(super) async fn publish(
        &self,
        happening: &Happening,
        decided: &Decided,
        delivery: &Delivery,
    ) -> Result<MessageOutcome, CallError> {
        let Some(notice) = self.to_publish(decided, delivery)? else { return Ok(MessageOutcome::Done) };
        let published = self.sns.call(self.engager.topic.publish(&notice, self.deadline)).await;
        self.note(happening, published).await
    }

    /// What is to be published of a decision. Whoever did not bring it about leaves it to whoever did, unless that must be dead.
    pub(super) fn to_publish(&self, decided: &Decided, delivery: &Delivery) -> Result<Option<Notification>, CallError> {
        let is_anothers = decided.carrier != delivery.message_id && decided.at.plus(LEASE) > self.now;
        if decided.is_settled || is_anothers {
            return Ok(None);
        }
        let receipt: Receipt =
            serde_json::from_str(&decided.receipt).map_err(|error| CallError::Permanent(error.to_string()))?;
        wording::notice(&receipt).map_err(|error| CallError::Permanent(error.to_string()))
    }

    /// Notes that a decision was published, or never will be.
    async fn note(
        &self,
        happening: &Happening,
        published: Result<String, CallError>,
    ) -> Result<MessageOutcome, CallError> {
        match published {
            Ok(message) => self.decisions.note_published(happening, &message, self.now).await?,
            Err(CallError::Transient(why)) => return Ok(MessageOutcome::Retry { why, wait: Duration::ZERO }),
            Err(CallError::Permanent(why)) => {
                let decision = happening.decision_id();
                tracing::error!(error = why, decision, "never published; it is in the events table");
                self.decisions.note_refused(happening, &why).await?;
            }
        }
        Ok(MessageOutcome::Done)
    }
}
