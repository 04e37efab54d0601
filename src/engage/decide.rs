//! One happening, decided once: claimed, chosen, guarded, stored, and then published.

use std::time::Duration;

use futures_util::{FutureExt, StreamExt, stream};
use serde_json::json;

use super::ask::{Advice, Silence};
use super::classify::Happened;
use super::facts::{self, Standing};
use super::guards::Ruled;
use super::{AT_ONCE, LEASE, Outcome, Work};
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

/// What is left to do about a happening that qualified.
pub(super) enum Next {
    /// Nothing, or not now.
    Over(Outcome),
    /// To publish it, with what else was decided at once.
    Publish(Box<Notification>),
}

impl Work<'_> {
    /// Decides about a happening that qualifies, unless that is done, or another message is at it.
    pub(super) async fn decide(
        &self,
        happened: &Happened,
        delivery: &Delivery,
        silence: &mut Option<Silence>,
    ) -> Result<Next, CallError> {
        let because = match happened.opts_out {
            Some(_) => Some("a click on an opt-out or preference link is no interest".to_owned()),
            None => self.why_claude_is_not_asked().await,
        };
        if let Some(because) = because
            && let AtOnce::Decided(decided) = self.decide_at_once(happened, &delivery.message_id, because).await?
        {
            let notice = self.to_publish(&decided, delivery)?;
            return Ok(notice.map_or(Next::Over(Outcome::Done), |notice| Next::Publish(Box::new(notice))));
        }
        if happened.opts_out.is_some() {
            // Nobody claims such a click. Whoever did all the same decides it.
            return Ok(Next::Over(Outcome::Done));
        }
        self.ask(happened, delivery, silence).await.map(Next::Over)
    }

    /// Decides about a happening by asking Claude, and publishes that.
    async fn ask(
        &self,
        happened: &Happened,
        delivery: &Delivery,
        silence: &mut Option<Silence>,
    ) -> Result<Outcome, CallError> {
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
            let known = known(&self.calls, &self.config.recipients_table, recipient).await?;
            let mut suppressed = self.suppressions.standing(recipient, forgotten.as_ref(), self.now).await?;
            let opted_out = happened.opt_out_click.max(known.opt_out_click).filter(|click| click.until > self.now);
            suppressed.extend(opted_out.map(|_| Guard::OptOutClick.as_str().to_owned()));
            standing.push(Standing { suppressed, followups: known.followups });
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
        let mut receipt = self.receipt(happened, facts, choice, asked);
        for _ in 0..TRIES {
            let mut ruled = self.rule(happened, &receipt.choice).await?;
            let (place, names) = (ruled.place.take(), std::mem::take(&mut ruled.names));
            let decided = self.decided(&mut receipt, ruled, carrier)?;
            let place = place.as_ref().map(|place| (place, names.as_slice()));
            match self.decisions.decide(happening, &decided, place).await? {
                Stored::Decided(stored) => {
                    self.tally_if_new(&receipt, stored == decided);
                    return self.publish(happening, stored, delivery).await;
                }
                Stored::Changed => self.know_nothing_of_forgotten().await,
            }
        }
        Err(CallError::Transient("what the guards go by kept changing".to_owned()))
    }

    /// Lets the written rules decide, where Claude would not be asked anyway. They go by the email's own rows and write to nobody, so
    /// nothing else has to be read, and nothing to be claimed: one write decides.
    async fn decide_at_once(&self, happened: &Happened, carrier: &str, because: String) -> Result<AtOnce, CallError> {
        let facts = json!({ "engaged": happened.engaged });
        let asked = Asked { by: By::Rules, because: Some(because), ..Asked::default() };
        let choice = happened.opts_out.map_or_else(|| rules::decide(&happened.engaged), rules::opted_out);
        let mut receipt = self.receipt(happened, facts, choice, asked);
        let ruled = self.rule(happened, &receipt.choice).await?;
        let decided = self.decided(&mut receipt, ruled, carrier)?;
        let stored = self.decisions.decide_at_once(&happened.happening, &decided, happened.expires_at).await?;
        self.tally_if_new(&receipt, stored == AtOnce::Decided(decided));
        Ok(stored)
    }

    fn receipt(&self, happened: &Happened, facts: serde_json::Value, choice: Choice, asked: Asked) -> Receipt {
        let happening = &happened.happening;
        Receipt {
            id: happening.decision_id(),
            at: self.now.to_text(),
            email_id: happening.email_id.clone(),
            event: happened.event_type.to_owned(),
            message: happened.message.as_str().to_owned(),
            event_at: happened.at.to_text(),
            recipients: happened.recipients.iter().map(|recipient| recipient.as_str().to_owned()).collect(),
            campaign: happened.campaign.clone(),
            verdict: happened.judgement.verdict,
            score: happened.judgement.score,
            reasons: happened.judgement.reasons.clone(),
            facts,
            opt_out_click: happened.opts_out.is_some(),
            asked,
            choice,
            guards: Vec::new(),
            done: Done::Nothing(String::new()),
            followup: None,
        }
    }

    /// What the guards made of a choice, in the receipt, and as it is stored.
    fn decided(&self, receipt: &mut Receipt, ruled: Ruled, carrier: &str) -> Result<Decided, CallError> {
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
    pub(super) async fn brake(&self, happened: &Happened) -> Result<Option<Brake>, CallError> {
        Ok(self.campaigns.state(&happened.campaign).await?.map(|state| state.brake))
    }

    /// Publishes a decision that was found unpublished. It is read again before: another message, of this very batch perhaps, may
    /// have published it since.
    pub(super) async fn publish_late(&self, happening: &Happening, delivery: &Delivery) -> Result<Outcome, CallError> {
        match self.decisions.decided(happening).await? {
            Some(decided) => self.publish(happening, decided, delivery).await,
            None => Ok(Outcome::Done),
        }
    }

    /// Publishes what was decided at once, in as few calls as there can be. Answers what became of each, in their order.
    pub(super) async fn publish_all(&self, decided: &[(&Happening, Notification)]) -> Vec<Result<Outcome, CallError>> {
        let notices: Vec<Notification> = decided.iter().map(|(_, notice)| notice.clone()).collect();
        let published = self.engager.topic.publish_all(&notices, self.deadline, &self.sns).await;
        let noted = decided.iter().zip(published).map(|((happening, _), published)| self.note(happening, published));
        stream::iter(noted.map(FutureExt::boxed).collect::<Vec<_>>()).buffered(AT_ONCE).collect().await
    }

    /// Publishes a decision as it is stored, and notes that.
    async fn publish(
        &self,
        happening: &Happening,
        decided: Decided,
        delivery: &Delivery,
    ) -> Result<Outcome, CallError> {
        let Some(notice) = self.to_publish(&decided, delivery)? else { return Ok(Outcome::Done) };
        let published = self.sns.call(self.engager.topic.publish(&notice, self.deadline)).await;
        self.note(happening, published).await
    }

    /// What is to be published of a decision. Whoever did not bring it about leaves it to whoever did, unless that must be dead.
    fn to_publish(&self, decided: &Decided, delivery: &Delivery) -> Result<Option<Notification>, CallError> {
        let is_anothers = decided.carrier != delivery.message_id && decided.at.plus(LEASE) > self.now;
        if decided.is_settled || is_anothers {
            return Ok(None);
        }
        let receipt: Receipt =
            serde_json::from_str(&decided.receipt).map_err(|error| CallError::Permanent(error.to_string()))?;
        wording::notice(&receipt).map_err(|error| CallError::Permanent(error.to_string()))
    }

    /// Notes that a decision was published, or never will be.
    async fn note(&self, happening: &Happening, published: Result<String, CallError>) -> Result<Outcome, CallError> {
        match published {
            Ok(message) => self.decisions.note_published(happening, &message, self.now).await?,
            Err(CallError::Transient(why)) => return Ok(Outcome::Later { why, wait: Duration::ZERO }),
            Err(CallError::Permanent(why)) => {
                let decision = happening.decision_id();
                tracing::error!(error = why, decision, "never published; it is in the events table");
                self.decisions.note_refused(happening, &why).await?;
            }
        }
        Ok(Outcome::Done)
    }
}
