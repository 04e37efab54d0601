//! The guards: what becomes of a choice, after everything that stands against it was looked at once more.

use std::time::Duration;

use tokio::time::Instant;

use super::Work;
use super::classify::Candidate;
use crate::aws::CallError;
use crate::message::decision::{Done, Followup};
use crate::policy::answer::{Choice, Token};
use crate::policy::followup::{self, Answer, Ruling, Taken};
use crate::store::followups::{Place, known};
use crate::store::forgotten::{self, ForgottenKey, KEY_ITEM};
use crate::store::suppressions::names;

/// How long it is taken for granted that nobody was ever forgotten, or with which key.
const FORGOTTEN_INTERVAL: Duration = Duration::from_secs(60);

/// A choice that the guards have ruled on.
pub(super) struct GuardedChoice {
    pub(super) guards: Vec<Answer>,
    pub(super) done: Done,
    pub(super) followup: Option<Followup>,
    pub(super) place: Option<Place>,
    /// Under which names its recipient must not be suppressed.
    pub(super) names: Vec<String>,
}

impl Work<'_> {
    /// The key of those who were forgotten, if there are any: read once a minute.
    pub(super) async fn forgotten(&self) -> Result<Option<ForgottenKey>, CallError> {
        let mut known = self.engager.forgotten.lock().await;
        if let Some((_, key)) = known.as_ref().filter(|(read_at, _)| read_at.elapsed() < FORGOTTEN_INTERVAL) {
            return Ok(key.clone());
        }
        let key = forgotten::key(&self.calls, &self.config.suppressions_table).await?;
        *known = Some((Instant::now(), key.clone()));
        Ok(key)
    }

    /// Drops what is known of those who were forgotten, so that it is read again: the first of them may have been forgotten just now.
    pub(super) async fn know_nothing_of_forgotten(&self) {
        *self.engager.forgotten.lock().await = None;
    }

    /// Rules on a choice, by what is in the tables now.
    pub(super) async fn rule(&self, candidate: &Candidate, choice: &Choice) -> Result<GuardedChoice, CallError> {
        let mut guards = vec![followup::mode(self.config.followups)];
        guards.extend(candidate.passed.iter().cloned());
        let Choice::ScheduleFollowup { to, subject, message, send_after_hours, .. } = choice else {
            let done = match (choice, refusal(&guards)) {
                (Choice::DoNothing { .. }, _) => Done::Nothing("that was chosen".to_owned()),
                (_, Some(why)) => Done::Nothing(why),
                (Choice::HandToHuman { .. }, None) => Done::HandedToHuman,
                (_, None) => Done::EngagementLogged,
            };
            return Ok(GuardedChoice { guards, done, followup: None, place: None, names: Vec::new() });
        };
        let named = (0..).map(Token::nth).zip(&candidate.recipients).find(|(token, _)| token == to);
        let Some((_, recipient)) = named else {
            return Ok(GuardedChoice::nothing(guards, "the follow-up is for nobody whom the event names".to_owned()));
        };
        let (not_before, quiet) =
            followup::not_before(self.now, *send_after_hours, &self.config.zone, &self.config.policy.followups);
        let forgotten = self.forgotten().await?;
        let suppressed = self.suppressions.standing(recipient, forgotten.as_ref(), self.now).await?;
        let suppressed: Vec<&str> = suppressed.iter().map(String::as_str).collect();
        guards.push(followup::suppressed(&suppressed));
        let known = known(&self.calls, &self.config.recipients_table, recipient).await?;
        let opt_out_click = candidate.opt_out_click.max(known.opt_out_click);
        guards.push(followup::opt_out_click(opt_out_click.map(|click| click.until), self.now));
        let brake = self.brake(candidate).await?;
        guards.push(followup::brake(
            brake.as_ref().map(|brake| brake.status),
            brake.as_ref().map(|brake| brake.reason.as_str()),
        ));
        guards.push(quiet);
        let before = known.followups;
        let (id, email_id) = (candidate.happening.decision_id(), candidate.happening.email_id.clone());
        let policy = &self.config.policy.followups;
        guards.extend(followup::caps(&before.taken, &email_id, &id, not_before, policy));
        if let Some(why) = refusal(&guards) {
            return Ok(GuardedChoice::nothing(guards, why));
        }
        let followup = Followup {
            recipient: recipient.as_str().to_owned(),
            from: candidate.from.clone(),
            subject: subject.clone(),
            text: message.clone(),
            not_before: not_before.to_text(),
            campaign: candidate.campaign.clone(),
            idempotency_key: Followup::idempotency_key(&email_id, recipient.as_str()),
            tags: Followup::tags(&email_id, self.config.campaign_tags.first(), &candidate.campaign),
        };
        let place = Place { recipient: recipient.clone(), before, taken: Taken { at: not_before, email_id, id } };
        let mut names = names(recipient, forgotten.as_ref());
        if forgotten.is_none() {
            // It is known from up to a minute ago that nobody was ever forgotten: it must still be so.
            names.push(KEY_ITEM.to_owned());
        }
        Ok(GuardedChoice { guards, done: Done::FollowupProposed, followup: Some(followup), place: Some(place), names })
    }
}

impl GuardedChoice {
    fn nothing(guards: Vec<Answer>, why: String) -> Self {
        Self { guards, done: Done::Nothing(why), followup: None, place: None, names: Vec::new() }
    }
}

/// Why the guards refuse, if one does.
fn refusal(guards: &[Answer]) -> Option<String> {
    let refused = guards.iter().find(|answer| answer.ruling == Ruling::Refused)?;
    Some(refused.why.clone())
}
