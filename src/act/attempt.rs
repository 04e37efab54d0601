//! One follow-up: from its row to the recorded answer.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::ActActivity;
use super::email::{self, AnsweredEmail, EmailError, Letterhead, is_undecided};
use super::requests::MAX_KEY_AGE;
use super::run::{Halt, Run};
use crate::aws::CallError;
use crate::policy::followup::sending::{
    AnswerMeaning, BegunTry, DropReason, FollowupStatus, LookRefusal, NotNow, SendAnswer, Settlement, email_answer,
};
use crate::resend::api::key::ResendKey;
use crate::resend::recipient::Recipient;
use crate::store::act_lock::RestReason;
use crate::store::followups::{FollowupEntry, FollowupRow, FollowupWrite, LastLook, TryResult};
use crate::time::{UnixMillis, hours, minutes};

/// Time after the sending of the last look's transaction within which its request must begin.
const MAX_DELAY: Duration = Duration::from_secs(2);

/// Number of refusals of different follow-ups in a row after which all sending rests.
const MAX_REFUSALS: usize = 3;

/// Name of this function in a follow-up's history.
const ACT: &str = "act";

/// The rest after refusals in a row, and after a refused key.
const REST: Duration = minutes(15);

/// The rest after a used-up quota.
const QUOTA_REST: Duration = hours(1);

impl Run<'_> {
    /// Looks at one follow-up, and makes a try if nothing is against it. With `halt`, it is only settled if its time is
    /// over. Returns the reason if sending halts.
    pub(super) async fn attempt(
        &mut self,
        entry: &FollowupEntry,
        halt: Option<Halt>,
    ) -> Result<Option<Halt>, CallError> {
        let row = self.store.find(&entry.email_id, &entry.id).await?;
        let open = row.filter(|row| !row.state.status.is_settled());
        let Some((row, recipient)) = open.and_then(|row| Some((row.clone(), row.recipient?))) else {
            // The row is gone, was emptied by `forget`, or was settled since the entry was read.
            self.store.delete_entry(entry).await?;
            return Ok(None);
        };
        if row.state.entry_at != entry.at || row.state.status == FollowupStatus::Waiting {
            return Ok(None);
        }
        let key = self.requests.key().await;
        let asked_with = key.as_ref().map(|key| self.requests.asked_with(key));
        if let Some(settlement) = row.state.settlement(self.time.now(), asked_with.as_deref()) {
            self.settle(&row, settlement).await?;
            return Ok(None);
        }
        match halt {
            Some(Halt::DayLimit) if row.state.tries > 0 => {}
            Some(_) => return Ok(None),
            None => {}
        }
        if let Some(guards) = row.campaign.as_ref().and_then(|campaign| self.paused.get(campaign)).cloned() {
            // Without a look: thousands of a paused campaign would take the time of the others.
            return self.postpone_row(&row, &NotNow::CampaignPaused, guards).await;
        }
        let (Some(key), Some(asked_with)) = (key, asked_with) else {
            tracing::error!("there is no API key of Resend: put RESEND_API_KEY into the secret ACT_KEYS_ARN");
            self.record(ActActivity::NoKey);
            self.store.alert_key("missing_api_key", None, self.waiting, self.time.now()).await?;
            return Ok(Some(Halt::NoKey));
        };
        let request = match &row.request {
            Some(request) => request.clone(),
            None => match self.build(&row, &recipient).await? {
                Some(Ok(request)) => request,
                Some(Err(error)) => {
                    self.drop_row(&row, DropReason::Unreadable, &error.to_string(), Vec::new()).await?;
                    return Ok(None);
                }
                None => return Ok(Some(Halt::NoKey)),
            },
        };
        if !self.requests.rate.wait(self.time.last_try()).await {
            return Ok(Some(Halt::TimeOver));
        }
        self.requests.connect().await;
        if Instant::now() >= self.time.last_try() {
            return Ok(Some(Halt::TimeOver));
        }
        self.look_and_try(&row, &request, &key, &asked_with).await
    }

    /// Makes the last look, and the request if nothing is against it.
    async fn look_and_try(
        &mut self,
        row: &FollowupRow,
        request: &str,
        key: &Arc<ResendKey>,
        asked_with: &str,
    ) -> Result<Option<Halt>, CallError> {
        let (now, real_now) = (self.time.now(), UnixMillis::now());
        let (config, domain) = (self.config, email::sender_domain(request));
        let look = LastLook {
            now,
            real_now,
            holder: self.lock.holder(),
            next_request_at: self.requests.rate.after(real_now),
            per_day: config.per_day,
            asked_with,
            zone: &config.zone,
            policy: &config.policy.followups,
            allowed: &config.allowed,
            domain: domain.as_deref(),
        };
        match self.store.begin_try(row, request, &look).await? {
            TryResult::Begun { row, begun, sent_at } => self.request(&row, begun, sent_at, key).await,
            TryResult::NotNow(NotNow::Paused, _) => Ok(Some(Halt::Switch)),
            TryResult::NotNow(NotNow::DayLimit, _) => Ok(Some(Halt::DayLimit)),
            TryResult::NotNow(reason, guards) => {
                if let (NotNow::CampaignPaused, Some(campaign)) = (&reason, &row.campaign) {
                    self.paused.insert(campaign.clone(), guards.clone());
                }
                self.postpone_row(row, &reason, guards).await
            }
            TryResult::No(reason, guards) => {
                let why = guards.first().map(|refusal| refusal.why.clone()).unwrap_or_default();
                self.drop_row(row, reason, &why, guards).await?;
                Ok(None)
            }
            TryResult::Over(settlement) => {
                self.settle(row, settlement).await?;
                Ok(None)
            }
            TryResult::LockLost => Ok(Some(Halt::LockLost)),
            TryResult::Changed => Ok(None),
        }
    }

    /// Makes the request of a try that has begun, and records its answer.
    async fn request(
        &mut self,
        row: &FollowupRow,
        begun: BegunTry,
        looked_at: Instant,
        key: &Arc<ResendKey>,
    ) -> Result<Option<Halt>, CallError> {
        let (Some(idempotency_key), Some(body)) = (row.idempotency_key(), row.request.clone()) else {
            return Ok(None);
        };
        if looked_at.elapsed() > MAX_DELAY || looked_at > self.time.last_request() {
            tracing::warn!(id = row.id, "the last look came too late: no request; a later run tries again");
            return Ok(None);
        }
        self.record(ActActivity::Requested);
        let response = self.requests.send_email(key, &idempotency_key, body).await;
        let answer = email_answer(&response);
        let AnswerMeaning::Accepted { id } = &answer.meaning else {
            return self.record_refusal(row, begun, &answer, key).await;
        };
        self.store.record_accepted(&row.email_id, &row.id, id, ACT, self.time.now()).await?;
        self.record(ActActivity::Sent);
        if !self.refused.is_empty() {
            self.refused.clear();
            self.lock.clear_refusals().await?;
        }
        Ok(None)
    }

    /// Records an answer that is no acceptance, and lets all sending rest where the answer is not about this email.
    async fn record_refusal(
        &mut self,
        row: &FollowupRow,
        begun: BegunTry,
        answer: &SendAnswer,
        key: &Arc<ResendKey>,
    ) -> Result<Option<Halt>, CallError> {
        tracing::warn!(id = row.id, answer = answer.name, status = answer.status, "not accepted");
        self.record(ActActivity::NotAccepted(answer.meaning.clone()));
        let recorded = self.store.record_answer(row, begun, answer, self.waiting, self.time.now()).await;
        // Even if the record failed, sending halts.
        let halt = match &answer.meaning {
            AnswerMeaning::Key => {
                self.requests.reload_key(key).await;
                self.rest(REST, RestReason::Key).await
            }
            AnswerMeaning::Quota => self.rest(QUOTA_REST, RestReason::Quota).await,
            AnswerMeaning::TooFast { retry_after } => {
                self.rest(*retry_after, RestReason::TooFast).await;
                self.count_refusal(&row.id).await
            }
            AnswerMeaning::AboutThisEmail { .. } | AnswerMeaning::Otherwise { .. } => self.count_refusal(&row.id).await,
            AnswerMeaning::Accepted { .. } | AnswerMeaning::Unclear | AnswerMeaning::KeyConflict => None,
        };
        match recorded {
            Ok(recorded) => self.note(&recorded),
            Err(error) => self.pass_over(error),
        }
        Ok(halt)
    }

    /// Lets all sending rest. A rest because of the rate may end within this run. This run rests even if the lock can't
    /// be written.
    async fn rest(&mut self, time: Duration, because: RestReason) -> Option<Halt> {
        let until = UnixMillis::now().plus(time);
        if because == RestReason::TooFast {
            self.requests.rate.not_before(until);
        }
        if let Err(error) = self.lock.rest(until, because).await {
            self.pass_over(error);
        }
        (because != RestReason::TooFast).then_some(Halt::Rest(because))
    }

    async fn count_refusal(&mut self, id: &str) -> Option<Halt> {
        self.refused.insert(id.to_owned());
        if self.refused.len() >= MAX_REFUSALS {
            self.refused.clear();
            return self.rest(REST, RestReason::Refusals).await;
        }
        if let Err(error) = self.lock.count_refusal(id).await {
            self.pass_over(error);
        }
        None
    }

    /// Builds the email. Returns `None` if the keys of the links are not known.
    async fn build(
        &self,
        row: &FollowupRow,
        recipient: &Recipient,
    ) -> Result<Option<Result<String, EmailError>>, CallError> {
        let config = self.config;
        let (Some(links), Some(secret)) = (&config.links, self.link_keys) else { return Ok(None) };
        secret.refresh(MAX_KEY_AGE).await;
        let Some(keys) = secret.get().await else {
            tracing::error!("no key of the unsubscribe links is known: see the secret CONSENT_KEYS_ARN");
            return Ok(None);
        };
        let letterhead = Letterhead {
            consent_url: &links.url,
            keys: &keys,
            reply_to: config.reply_to.as_deref(),
            sender_address: config.sender_address.as_deref(),
            campaign_tag: config.campaign_tags.first(),
        };
        let rows = self.timeline.all(&row.email_id).await?;
        if is_undecided(&rows, &row.decision) {
            return Err(CallError::Transient("its decision is not visible yet".to_owned()));
        }
        let answered = AnsweredEmail::read(&rows, &row.decision, recipient);
        Ok(Some(email::request_body(&row.email_id, &row.id, recipient, &answered, &letterhead)))
    }

    async fn settle(&mut self, row: &FollowupRow, settlement: Settlement) -> Result<(), CallError> {
        let written = self.store.settle(row, settlement, self.time.now()).await?;
        self.note(&written);
        Ok(())
    }

    async fn postpone_row(
        &mut self,
        row: &FollowupRow,
        reason: &NotNow,
        guards: Vec<LookRefusal>,
    ) -> Result<Option<Halt>, CallError> {
        let now = self.time.now();
        self.store.postpone(row, reason.until(now), reason.why(), guards, now).await?;
        self.record(ActActivity::Postponed);
        Ok(None)
    }

    async fn drop_row(
        &mut self,
        row: &FollowupRow,
        reason: DropReason,
        why: &str,
        guards: Vec<LookRefusal>,
    ) -> Result<(), CallError> {
        let written = self.store.drop_followup(row, reason, ACT, why, guards, self.time.now()).await?;
        self.note(&written);
        Ok(())
    }

    /// Records the effect of a transition.
    fn note(&mut self, written: &FollowupWrite) {
        let FollowupWrite::Written(row, _) = written else { return };
        match (row.state.status, &row.state.reason) {
            (FollowupStatus::Dropped, Some(reason)) => self.record(ActActivity::Dropped(reason.clone())),
            (FollowupStatus::Unknown, _) => self.record(ActActivity::Unknown),
            _ => self.record(ActActivity::Postponed),
        }
    }
}
