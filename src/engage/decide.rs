//! One decision per occurrence: claimed, chosen, guarded, and stored.

use serde_json::{Value, json};

use super::LEASE;
use super::ask::Advisor;
use super::candidate::Candidate;
use super::dossier::Dossier;
use super::facts::Briefing;
use super::guards::{FollowupLimits, GuardedChoice, Guards};
use super::publish::Publisher;
use super::run::{EngageActivity, EngageRun};
use super::step::{NextStep, Retry};
use crate::aws::CallError;
use crate::aws::queue::QueueMessage;
use crate::message::decision::{DecidedBy, DecisionResult, DecisionSource, Receipt};
use crate::policy::answer::Choice;
use crate::policy::rules;
use crate::store::decisions::{DecidedFollowup, Decisions, StoredDecision};
use crate::store::outbox::OutboxClaim;

/// Maximum number of tries to store a decision, if the input of the guards changes meanwhile.
const MAX_ATTEMPTS: u32 = 5;

/// Decides about candidates.
pub(super) struct Decider<'a> {
    decisions: &'a Decisions,
    dossier: &'a Dossier<'a>,
    guards: &'a Guards<'a>,
    advisor: Advisor<'a>,
    publisher: &'a Publisher<'a>,
    limits: FollowupLimits<'a>,
    run: EngageRun<'a>,
}

impl<'a> Decider<'a> {
    /// Creates a decider that asks `advisor`, applies `guards`, and stores in `decisions`.
    pub(super) const fn new(
        decisions: &'a Decisions,
        dossier: &'a Dossier<'a>,
        guards: &'a Guards<'a>,
        advisor: Advisor<'a>,
        publisher: &'a Publisher<'a>,
        limits: FollowupLimits<'a>,
        run: EngageRun<'a>,
    ) -> Self {
        Self { decisions, dossier, guards, advisor, publisher, limits, run }
    }

    /// Decides about a candidate, unless there is a decision, or another message holds the claim.
    pub(super) async fn decide(&mut self, candidate: &Candidate, delivery: &QueueMessage) -> Result<NextStep, Retry> {
        let because = match candidate.opts_out {
            Some(_) => Some("a click on an opt-out or preference link does not show interest".to_owned()),
            None => self.advisor.skip_reason().await,
        };
        if let Some(because) = because
            && let OutboxClaim::Settled(decided) =
                self.decide_without_claim(candidate, &delivery.message_id, because).await?
        {
            return Ok(match self.publisher.notification(&decided, delivery)? {
                Some(notice) => NextStep::Publish(candidate.occurrence.clone(), Box::new(notice)),
                None => NextStep::DONE,
            });
        }
        if candidate.opts_out.is_some() {
            // Such clicks are never claimed. If one is claimed anyway, the owner of the claim decides.
            return Ok(NextStep::DONE);
        }
        if let Some(decided) = self.ask(candidate, delivery).await? {
            // Immediately: the other messages of the batch may take the rest of the time.
            self.publisher.publish(&candidate.occurrence, &decided, delivery).await?;
        }
        Ok(NextStep::DONE)
    }

    /// Decides about a candidate by asking Claude. Returns `None` if another message holds the claim.
    async fn ask(&mut self, candidate: &Candidate, delivery: &QueueMessage) -> Result<Option<StoredDecision>, Retry> {
        let occurrence = &candidate.occurrence;
        let (owner, now) = (delivery.message_id.as_str(), self.run.now);
        match self.decisions.claim(occurrence, owner, now, LEASE, candidate.email.expires_at(now)).await? {
            // The owner's message is redelivered until it is done.
            OutboxClaim::HeldByOther => return Ok(None),
            OutboxClaim::Settled(decided) => return Ok(Some(decided)),
            OutboxClaim::Acquired(_) => {}
        }
        let mut recipients = Vec::new();
        for recipient in &candidate.recipients {
            recipients.push(self.dossier.recipient(recipient).await?);
        }
        let brake = self.dossier.brake(&candidate.campaign).await?;
        let briefing = Briefing::new(candidate, &recipients, brake.as_ref(), self.limits, now)?;
        let (choice, asked) = self.advisor.advise(candidate, &briefing, delivery).await?;
        let mut receipt = self.receipt(candidate, briefing.facts, choice, asked);
        for _ in 0..MAX_ATTEMPTS {
            let guarded = self.guards.apply(candidate, &receipt.choice, &recipients).await?;
            let decided = self.decided(&mut receipt, &guarded, owner)?;
            let slot = guarded.proposal.as_ref().map(|proposal| DecidedFollowup {
                slot: &proposal.slot,
                names: &proposal.keys,
                scheduled: proposal.scheduled.as_ref(),
            });
            match self.decisions.decide(occurrence, &decided, slot).await? {
                OutboxClaim::Settled(stored) => {
                    self.record_if_new(&receipt, stored == decided);
                    return Ok(Some(stored));
                }
                OutboxClaim::Acquired(_) | OutboxClaim::HeldByOther => {
                    recipients.clear();
                    self.dossier.drop_forgotten_key().await;
                }
            }
        }
        Err(CallError::Transient("the input of the guards kept changing".to_owned()).into())
    }

    /// Lets the built-in rules decide if Claude would not be asked anyway. They use only the email's own rows and
    /// propose no email, so there is nothing else to read and nothing to claim: one write is enough.
    async fn decide_without_claim(
        &self,
        candidate: &Candidate,
        owner: &str,
        because: String,
    ) -> Result<OutboxClaim<StoredDecision>, CallError> {
        let facts = json!({ "engaged": candidate.engaged });
        let asked = DecisionSource { by: DecidedBy::Rules, because: Some(because), ..DecisionSource::default() };
        let choice = candidate.opts_out.map_or_else(|| rules::decide(&candidate.engaged), rules::opted_out);
        let mut receipt = self.receipt(candidate, facts, choice, asked);
        let guarded = self.guards.apply(candidate, &receipt.choice, &[]).await?;
        let decided = self.decided(&mut receipt, &guarded, owner)?;
        let expires_at = candidate.email.expires_at(self.run.now);
        let stored = self.decisions.decide_without_claim(&candidate.occurrence, &decided, expires_at).await?;
        self.record_if_new(&receipt, stored == OutboxClaim::Settled(decided));
        Ok(stored)
    }

    fn receipt(&self, candidate: &Candidate, facts: Value, choice: Choice, asked: DecisionSource) -> Receipt {
        let Candidate { occurrence, event, scored, .. } = candidate;
        Receipt {
            id: occurrence.decision_id(),
            at: self.run.now.to_text(),
            email_id: occurrence.email_id.clone(),
            event: event.event_type.to_owned(),
            message: event.message.as_str().to_owned(),
            event_at: event.at.to_text(),
            recipients: candidate.recipients.iter().map(|recipient| recipient.as_str().to_owned()).collect(),
            campaign: candidate.campaign.clone(),
            verdict: scored.verdict,
            score: scored.score,
            reasons: scored.reasons.clone(),
            facts,
            opt_out_click: candidate.opts_out.is_some(),
            asked,
            choice,
            guards: Vec::new(),
            done: DecisionResult::Nothing(String::new()),
            followup: None,
        }
    }

    /// Builds the decision to store: the receipt, with the result of the guards.
    fn decided(
        &self,
        receipt: &mut Receipt,
        guarded: &GuardedChoice,
        owner: &str,
    ) -> Result<StoredDecision, CallError> {
        receipt.guards.clone_from(&guarded.guards);
        receipt.done = guarded.done.clone();
        receipt.followup = guarded.proposal.as_ref().map(|proposal| proposal.followup.clone());
        Ok(StoredDecision {
            receipt: serde_json::to_string(receipt).map_err(|error| CallError::Permanent(error.to_string()))?,
            is_settled: receipt.done.kind().is_none(),
            owner: owner.to_owned(),
            at: self.run.now,
        })
    }

    fn record_if_new(&self, receipt: &Receipt, is_new: bool) {
        if is_new {
            self.run.record(EngageActivity::decided(receipt));
        }
    }
}
