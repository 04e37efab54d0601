//! The guards: they accept a choice, delay it, or refuse it.

use super::candidate::Candidate;
use super::dossier::{Dossier, RecipientStatus};
use crate::aws::CallError;
use crate::config::EngageConfig;
use crate::message::decision::{DecisionResult, Followup};
use crate::policy::answer::{Choice, RecipientToken};
use crate::policy::brake::Brake;
use crate::policy::followup::{self, AllowedRecipients, FollowupMode, GuardResult, ProposedFollowup, Ruling, Zone};
use crate::policy::limits::FollowupPolicy;
use crate::resend::recipient::Recipient;
use crate::store::followups::{FollowupSlot, NewFollowup};
use crate::time::UnixMillis;

/// The guards of follow-ups.
pub(super) struct Guards<'a> {
    dossier: &'a Dossier<'a>,
    mode: FollowupMode,
    /// Recipients to whom follow-ups are sent.
    allowed: &'a AllowedRecipients,
    limits: FollowupLimits<'a>,
    /// The tag with a follow-up's campaign.
    tag: &'a str,
    now: UnixMillis,
}

/// The limits of follow-ups, and the time zone of the quiet hours.
#[derive(Clone, Copy)]
pub(super) struct FollowupLimits<'a> {
    pub(super) policy: &'a FollowupPolicy,
    pub(super) zone: &'a Zone,
}

/// A follow-up as it was chosen.
struct Draft<'a> {
    recipient: &'a Recipient,
    subject: &'a str,
    message: &'a str,
    send_after_hours: f64,
}

/// A choice with the results of the guards.
pub(super) struct GuardedChoice {
    pub(super) guards: Vec<GuardResult>,
    pub(super) done: DecisionResult,
    pub(super) proposal: Option<Proposal>,
}

/// A follow-up that no guard refuses.
pub(super) struct Proposal {
    pub(super) followup: Followup,
    /// Its slot among the recipient's follow-ups.
    pub(super) slot: FollowupSlot,
    /// The table keys of the recipient, which must not be suppressed.
    pub(super) keys: Vec<String>,
    /// Its row, if Rebound sends it.
    pub(super) scheduled: Option<NewFollowup>,
}

impl<'a> FollowupLimits<'a> {
    /// Reads the limits from the configuration.
    pub(super) const fn new(config: &'a EngageConfig) -> Self {
        Self { policy: &config.policy.followups, zone: &config.zone }
    }
}

impl<'a> Guards<'a> {
    /// Creates the guards, which read from `dossier` at `now`.
    pub(super) fn new(dossier: &'a Dossier<'a>, config: &'a EngageConfig, now: UnixMillis) -> Self {
        let limits = FollowupLimits::new(config);
        let (mode, allowed) = (config.followups, &config.allowed);
        Self { dossier, mode, allowed, limits, tag: config.campaign_tags.first(), now }
    }

    /// Applies the guards to a choice. `read` is the status of the candidate's recipients before the choice.
    ///
    /// A follow-up is stored on the condition that its recipient's status has not changed, so that status is not read
    /// again. A refusal has no such condition, and the brake is not part of it: they use the current items.
    pub(super) async fn apply(
        &self,
        candidate: &Candidate,
        choice: &Choice,
        read: &[RecipientStatus],
    ) -> Result<GuardedChoice, CallError> {
        let mut guards = vec![followup::mode(self.mode)];
        guards.extend(candidate.passed.iter().cloned());
        let Choice::ScheduleFollowup { to, subject, message, send_after_hours, .. } = choice else {
            let done = match (choice, refusal(&guards)) {
                (Choice::DoNothing { .. }, _) => DecisionResult::Nothing("the choice was to do nothing".to_owned()),
                (_, Some(why)) => DecisionResult::Nothing(why),
                (Choice::HandToHuman { .. }, None) => DecisionResult::HandedToHuman,
                (_, None) => DecisionResult::EngagementLogged,
            };
            return Ok(GuardedChoice { guards, done, proposal: None });
        };
        let named = candidate.recipients.iter().enumerate().find(|(index, _)| RecipientToken::nth(*index) == *to);
        let Some((index, recipient)) = named else {
            return Ok(GuardedChoice::nothing(
                guards,
                "the follow-up is for a recipient that the event does not name".to_owned(),
            ));
        };
        let draft = Draft { recipient, subject, message, send_after_hours: *send_after_hours };
        let brake = self.dossier.brake(&candidate.campaign).await?;
        if let Some(status) = read.get(index) {
            let guarded = self.rule(candidate, &draft, guards.clone(), status.clone(), brake.as_ref());
            if guarded.proposal.is_some() {
                return Ok(guarded);
            }
        }
        let status = self.dossier.recipient(recipient).await?;
        Ok(self.rule(candidate, &draft, guards, status, brake.as_ref()))
    }

    /// Applies the guards to a follow-up, with the status of its recipient and its campaign.
    fn rule(
        &self,
        candidate: &Candidate,
        draft: &Draft<'_>,
        mut guards: Vec<GuardResult>,
        status: RecipientStatus,
        brake: Option<&Brake>,
    ) -> GuardedChoice {
        let FollowupLimits { policy, zone } = self.limits;
        let (not_before, quiet) = followup::not_before(self.now, draft.send_after_hours, zone, policy);
        let (id, email_id) = (candidate.occurrence.decision_id(), candidate.occurrence.email_id.clone());
        let suppressed: Vec<&str> = status.suppressed.iter().map(String::as_str).collect();
        let opted_out_until = candidate.opted_out_until.max(status.opted_out_until);
        guards.push(followup::suppressed(&suppressed));
        guards.push(followup::opt_out_click(opted_out_until, self.now));
        guards.push(followup::brake(brake.map(|brake| brake.status), brake.map(|brake| brake.reason.as_str())));
        guards.push(quiet);
        guards.extend(followup::caps(&status.followups.taken, &email_id, &id, not_before, policy));
        if let Some(why) = refusal(&guards) {
            return GuardedChoice::nothing(guards, why);
        }
        let recipient = draft.recipient;
        let is_sent = self.is_sent(candidate, recipient, &mut guards);
        let followup = Followup {
            recipient: recipient.as_str().to_owned(),
            from: candidate.event.from.clone(),
            subject: draft.subject.to_owned(),
            text: draft.message.to_owned(),
            not_before: not_before.to_text(),
            campaign: candidate.campaign.clone(),
            idempotency_key: Followup::idempotency_key(&email_id, recipient.as_str()),
            tags: Followup::tags(&email_id, self.tag, &candidate.campaign),
        };
        let scheduled = is_sent.then(|| {
            let campaign = &candidate.campaign;
            let expires_at = candidate.email.expires_at(self.now);
            NewFollowup::scheduled(&email_id, &id, recipient, campaign, not_before, self.now, expires_at)
        });
        let done = if is_sent { DecisionResult::FollowupScheduled } else { DecisionResult::FollowupProposed };
        let taken = ProposedFollowup { at: not_before, email_id, id };
        let slot = FollowupSlot { recipient: recipient.clone(), before: status.followups, taken };
        let proposal = Proposal { followup, slot, keys: status.keys, scheduled };
        GuardedChoice { guards, done, proposal: Some(proposal) }
    }

    /// Returns true if Rebound sends this follow-up; if not, it is proposed.
    fn is_sent(&self, candidate: &Candidate, recipient: &Recipient, guards: &mut Vec<GuardResult>) -> bool {
        if self.mode != FollowupMode::Send || !self.allowed.allows(recipient) {
            return false;
        }
        let is_tag = Followup::is_tag_value(&candidate.occurrence.email_id);
        let sender = followup::sender(candidate.event.from.as_deref(), is_tag);
        let is_sent = sender.ruling == Ruling::Passed;
        guards.push(sender);
        is_sent
    }
}

impl GuardedChoice {
    fn nothing(guards: Vec<GuardResult>, why: String) -> Self {
        Self { guards, done: DecisionResult::Nothing(why), proposal: None }
    }
}

/// The reason of the first guard that refuses. `None` if no guard refuses.
fn refusal(guards: &[GuardResult]) -> Option<String> {
    let refused = guards.iter().find(|answer| answer.ruling == Ruling::Refused)?;
    Some(refused.why.clone())
}
