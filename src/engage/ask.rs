//! Asks Claude, within the budget and the time. The built-in rules choose if there is no valid answer.

use std::time::Duration;

use tokio::time::Instant;

use super::candidate::Candidate;
use super::facts::Briefing;
use super::purse::Purse;
use super::run::{EngageActivity, EngageRun};
use super::step::Retry;
use crate::aws::queue::QueueMessage;
use crate::aws::secret::Secret;
use crate::claude::key::ApiKey;
use crate::claude::request::{ClaudeRequest, build_request};
use crate::claude::{ANSWER_TIMEOUT, Claude, ClaudeError};
use crate::config::EngageConfig;
use crate::message::decision::{DecidedBy, DecisionSource};
use crate::policy::answer::{self, AnswerLimits, Choice};
use crate::policy::count::count;
use crate::policy::rules;
use crate::store::budget::Reservation;

/// Maximum number of requests to Claude in one delivery of a message.
const MAX_ATTEMPTS: u32 = 3;

const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// Maximum time that the function waits for Claude. A longer wait is spent in the queue, which costs nothing.
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// Time of the invocation that must remain after a response, to store and publish the decision.
const DECISION_RESERVE: Duration = Duration::from_secs(10);

/// Wait of a message for which there was no time left.
const NO_TIME: Duration = Duration::from_secs(5);

/// Reason why the rules decide if there is no API key.
const NO_KEY: &str = "Claude is not configured";

/// Asks Claude, or lets the built-in rules choose.
pub(super) struct Advisor<'a> {
    claude: &'a Claude,
    keys: &'a Secret<ApiKey>,
    model: &'a str,
    guide: &'a str,
    /// Number of deliveries of a message after which the rules decide.
    max_deliveries: u32,
    purse: Purse<'a>,
    /// A failure of Claude in this invocation. After it, Claude is not asked again.
    outage: Option<Retry>,
    run: EngageRun<'a>,
}

impl<'a> Advisor<'a> {
    /// Creates an advisor that pays from `purse`.
    pub(super) fn new(
        claude: &'a Claude,
        keys: &'a Secret<ApiKey>,
        config: &'a EngageConfig,
        purse: Purse<'a>,
        run: EngageRun<'a>,
    ) -> Self {
        let max_deliveries = config.policy.claude.deliveries;
        Self { claude, keys, model: &config.model, guide: &config.guide, max_deliveries, purse, outage: None, run }
    }

    /// Returns the reason why Claude will not be asked, if it is known before any budget is reserved.
    pub(super) async fn skip_reason(&self) -> Option<String> {
        if self.keys.get().await.is_none() {
            return Some(NO_KEY.to_owned());
        }
        self.purse.is_spent().then(|| self.purse.over_budget())
    }

    /// Asks Claude about a candidate, unless it has failed in this invocation. Returns the choice of Claude or of the
    /// rules.
    ///
    /// # Errors
    /// Claude may answer later.
    pub(super) async fn advise(
        &mut self,
        candidate: &Candidate,
        briefing: &Briefing,
        delivery: &QueueMessage,
    ) -> Result<(Choice, DecisionSource), Retry> {
        let mut asked = DecisionSource::default();
        let Some(mut key) = self.keys.get().await else {
            return Ok(decide_by_rules(candidate, asked, NO_KEY));
        };
        asked.model = Some(self.model.to_owned());
        let is_last = delivery.deliveries >= self.max_deliveries;
        // The other messages of the batch do not ask again.
        if let Some(outage) = &self.outage {
            return unanswered(outage, candidate, asked, delivery, is_last);
        }
        let question = build_request(self.model, self.guide, &briefing.facts, &briefing.tokens);
        let mut has_new_key = false;
        let mut pause = FIRST_PAUSE;
        let (why, wait) = loop {
            let left = self.run.deadline.saturating_duration_since(Instant::now()).saturating_sub(DECISION_RESERVE);
            if left < ANSWER_TIMEOUT && asked.tries == 0 && !is_last {
                return Err(Retry { why: "there was no time left to ask Claude".to_owned(), wait: NO_TIME });
            }
            let timeout = left.min(ANSWER_TIMEOUT);
            if timeout.is_zero() {
                break ("there was no time left to ask Claude".to_owned(), NO_TIME);
            }
            let Some(reservation) = self.purse.reserve(&question).await? else {
                return Ok(decide_by_rules(candidate, asked, &self.purse.over_budget()));
            };
            let failure = match self.try_to_ask(&key, &question, timeout, &reservation, &mut asked).await {
                Ok(body) => return Ok(self.read(candidate, briefing, &body, &reservation, asked).await),
                Err(failure) => failure,
            };
            tracing::warn!(error = %failure, tries = asked.tries, "Claude gave no answer");
            match failure {
                ClaudeError::Permanent(why) => return Ok(self.refused_for_good(candidate, asked, &why)),
                ClaudeError::InvalidKey(why) => match self.keys.reload(Some(&key)).await.filter(|_| !has_new_key) {
                    Some(new) => (key, has_new_key) = (new, true),
                    None => return Ok(self.refused_for_good(candidate, asked, &why)),
                },
                // After a timeout, no second try: there is not enough time for it.
                ClaudeError::TimedOut => break (failure.to_string(), Duration::ZERO),
                ClaudeError::Transient { why, retry_after, .. } => {
                    let wait = retry_after.unwrap_or_else(|| pause.mul_f64(0.5 + fastrand::f64()));
                    if asked.tries >= MAX_ATTEMPTS || wait > MAX_PAUSE {
                        break (why, retry_after.unwrap_or_default());
                    }
                    tokio::time::sleep(wait).await;
                    pause *= 2;
                }
            }
        };
        let outage = self.outage.insert(Retry { why, wait });
        unanswered(outage, candidate, asked, delivery, is_last)
    }

    /// Sends the request once. Its maximum cost is reserved.
    async fn try_to_ask(
        &self,
        key: &ApiKey,
        question: &ClaudeRequest,
        timeout: Duration,
        reservation: &Reservation,
        asked: &mut DecisionSource,
    ) -> Result<Vec<u8>, ClaudeError> {
        asked.tries += 1;
        let began = Instant::now();
        let answer = self.claude.ask(key, question.body.clone(), timeout).await;
        asked.ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        if let Err(failure) = &answer {
            self.run.record(EngageActivity::Unanswered);
            asked.cost_usd += self.purse.pay_failed(reservation, failure).await;
        }
        answer
    }

    /// Reads and checks an answer.
    async fn read(
        &self,
        candidate: &Candidate,
        briefing: &Briefing,
        body: &[u8],
        reservation: &Reservation,
        mut asked: DecisionSource,
    ) -> (Choice, DecisionSource) {
        asked.usage = answer::usage(body);
        if let Some(usage) = asked.usage {
            self.run.record(EngageActivity::Answered(usage));
        }
        asked.cost_usd += self.purse.pay(reservation, asked.usage.as_ref()).await;
        asked.answer = Some(answer::sanitize(body));
        let bounds = AnswerLimits {
            tokens: &briefing.tokens,
            campaign: &briefing.campaign,
            hosts: &briefing.hosts,
            longest_delay_hours: briefing.longest_delay_hours,
        };
        match answer::check(body, &bounds) {
            Ok(choice) => {
                asked.by = DecidedBy::Claude;
                (choice, asked)
            }
            Err(refusal) => {
                // The error quotes the answer, which may repeat an address: that belongs into the receipt, not into the
                // log.
                let decision = candidate.occurrence.decision_id();
                tracing::warn!(decision, "Claude's answer was refused; the receipt says why");
                asked.refused = Some(refusal.to_string());
                decide_by_rules(candidate, asked, "Claude's answer was refused")
            }
        }
    }

    /// Claude rejects the key, the model, the account or the request, until an operator changes a setting. An alarm
    /// reports it.
    fn refused_for_good(&self, candidate: &Candidate, asked: DecisionSource, why: &str) -> (Choice, DecisionSource) {
        self.run.record(EngageActivity::Refused);
        decide_by_rules(candidate, asked, why)
    }
}

/// The result without an answer: retry later, or, in the last delivery, the choice of the rules.
fn unanswered(
    outage: &Retry,
    candidate: &Candidate,
    asked: DecisionSource,
    delivery: &QueueMessage,
    is_last: bool,
) -> Result<(Choice, DecisionSource), Retry> {
    if !is_last {
        return Err(outage.clone());
    }
    let (deliveries, why) = (count(delivery.deliveries, "delivery"), &outage.why);
    Ok(decide_by_rules(candidate, asked, &format!("Claude gave no answer in {deliveries}; the last: {why}")))
}

fn decide_by_rules(candidate: &Candidate, mut asked: DecisionSource, because: &str) -> (Choice, DecisionSource) {
    if asked.tries == 0 {
        asked.model = None;
    }
    let choice = rules::decide(&candidate.engaged);
    (choice, DecisionSource { by: DecidedBy::Rules, because: Some(because.to_owned()), ..asked })
}
