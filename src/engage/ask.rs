//! Asking Claude, within the budget and the time; and the written rules, where there is no answer that can be used.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::Work;
use super::classify::Candidate;
use super::facts::campaign_shown;
use crate::aws::CallError;
use crate::aws::queue::Delivery;
use crate::claude::key::ApiKey;
use crate::claude::request::{Question, question};
use crate::claude::{ANSWER_TIMEOUT, Charge, Failure};
use crate::message::decision::{Asked, By};
use crate::metrics::Metric;
use crate::policy::answer::{self, Bounds, Choice};
use crate::policy::money::NanoUsd;
use crate::policy::rules;
use crate::resend::campaign::Campaign;
use crate::store::budget::{Reservation, Reserved};

/// How often Claude is asked in one delivery of a message.
const TRIES: u32 = 3;

const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The longest that a function waits for Claude to be ready again. What takes longer waits in the queue, which costs nothing.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What must be left of an invocation after an answer: to store and to publish what was decided.
const TIME_TO_DECIDE: Duration = Duration::from_secs(10);

/// How long a message waits for which there was no time.
const NO_TIME: Duration = Duration::from_secs(5);

/// Why the rules decide where there is no key.
const NO_KEY: &str = "Claude is not configured";

/// What came of asking.
pub(super) enum Advice {
    /// Somebody has chosen: Claude, or the rules.
    Chosen(Box<(Choice, Asked)>),
    /// Claude may answer later.
    Retry {
        /// Why it has not.
        why: String,
        /// How long it wants to be left alone.
        wait: Duration,
    },
}

/// That Claude has failed in this invocation.
pub(super) struct ClaudeOutage {
    why: String,
    /// How long it wants to be left alone.
    wait: Duration,
}

/// What became of one try.
enum Tried {
    Answered(Vec<u8>, Reservation),
    OverBudget,
    Failed(Failure),
}

impl Work<'_> {
    /// Why Claude will not be asked, where that is known without asking for money first.
    pub(super) async fn skip_reason(&self) -> Option<String> {
        if self.engager.key.get().await.is_none() {
            return Some(NO_KEY.to_owned());
        }
        let is_spent = self.engager.spent.holds(self.now);
        is_spent.then(|| self.over_budget())
    }

    fn over_budget(&self) -> String {
        format!("today's budget of {} US dollars is spent", self.config.daily_budget.usd())
    }

    /// Asks Claude about the facts. Once Claude has failed in this invocation, `silence` says so, and it is not asked again.
    pub(super) async fn advise(
        &self,
        candidate: &Candidate,
        facts: &Value,
        delivery: &Delivery,
        silence: &mut Option<ClaudeOutage>,
    ) -> Result<Advice, CallError> {
        let mut asked = Asked::default();
        let Some(mut key) = self.engager.key.get().await else {
            return Ok(self.decide_by_rules(candidate, asked, NO_KEY));
        };
        asked.model = Some(self.config.model.clone());
        let is_last = delivery.deliveries >= self.config.policy.claude.deliveries;
        // Not once more for each message of the batch.
        if let Some(silence) = silence {
            return Ok(self.unanswered(candidate, asked, delivery, silence));
        }
        let question = question(&self.config.model, &self.config.guide, facts, &candidate.tokens);
        let mut has_new_key = false;
        let mut pause = FIRST_PAUSE;
        let (why, wait) = loop {
            let left = self.deadline.saturating_duration_since(Instant::now()).saturating_sub(TIME_TO_DECIDE);
            if left < ANSWER_TIMEOUT && asked.tries == 0 && !is_last {
                return Ok(Advice::Retry { why: "there was no time left to ask Claude".to_owned(), wait: NO_TIME });
            }
            let timeout = left.min(ANSWER_TIMEOUT);
            if timeout.is_zero() {
                break ("there was no time left to ask Claude".to_owned(), NO_TIME);
            }
            let failure = match self.try_to_ask(&key, &question, timeout, &mut asked).await? {
                Tried::Answered(body, reservation) => {
                    return Ok(self.read(candidate, &body, &reservation, asked).await);
                }
                Tried::OverBudget => {
                    return Ok(self.decide_by_rules(candidate, asked, &self.over_budget()));
                }
                Tried::Failed(failure) => failure,
            };
            tracing::warn!(error = %failure, tries = asked.tries, "Claude gave no answer");
            match failure {
                Failure::Never(why) => return Ok(self.refused_for_good(candidate, asked, &why)),
                Failure::Key(why) => match self.engager.key.reload(Some(&key)).await.filter(|_| !has_new_key) {
                    Some(new) => (key, has_new_key) = (new, true),
                    None => return Ok(self.refused_for_good(candidate, asked, &why)),
                },
                // Who has just waited in vain for so long does not do so again at once.
                Failure::TimedOut => break (failure.to_string(), Duration::ZERO),
                Failure::Passing { why, retry_after, .. } => {
                    let wait = retry_after.unwrap_or_else(|| pause.mul_f64(0.5 + fastrand::f64()));
                    if asked.tries >= TRIES || wait > LONGEST_PAUSE {
                        break (why, retry_after.unwrap_or_default());
                    }
                    tokio::time::sleep(wait).await;
                    pause *= 2;
                }
            }
        };
        let silence = silence.insert(ClaudeOutage { why, wait });
        Ok(self.unanswered(candidate, asked, delivery, silence))
    }

    /// What follows where there is no answer: to try again later, or, when that was done often enough, to let the rules decide.
    fn unanswered(&self, candidate: &Candidate, asked: Asked, delivery: &Delivery, silence: &ClaudeOutage) -> Advice {
        let ClaudeOutage { why, wait } = silence;
        if delivery.deliveries < self.config.policy.claude.deliveries {
            return Advice::Retry { why: why.clone(), wait: *wait };
        }
        let because = format!("Claude gave no answer in {} deliveries; the last: {why}", delivery.deliveries);
        self.decide_by_rules(candidate, asked, &because)
    }

    /// Reserves the most that the question can cost, and asks it once.
    async fn try_to_ask(
        &self,
        key: &ApiKey,
        question: &Question,
        timeout: Duration,
        asked: &mut Asked,
    ) -> Result<Tried, CallError> {
        let most = self.engager.price.most(question.body.len(), question.max_tokens);
        let reservation = match self.budget.reserve(most, self.config.daily_budget, self.now).await? {
            Reserved::Held(reservation) => reservation,
            Reserved::Full => return Ok(Tried::OverBudget),
            Reserved::Spent => {
                self.engager.spent.note(self.now);
                return Ok(Tried::OverBudget);
            }
        };
        asked.tries += 1;
        let began = Instant::now();
        let answer = self.engager.claude.ask(key, question.body.clone(), timeout).await;
        asked.ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        match answer {
            Ok(body) => Ok(Tried::Answered(body, reservation)),
            Err(failure) => {
                self.tally.one(Metric::ClaudeFailures);
                let cost = match &failure {
                    Failure::TimedOut | Failure::Passing { charge: Charge::Unknown, .. } => most,
                    _ => NanoUsd(0),
                };
                self.settle(&reservation, cost, asked).await;
                Ok(Tried::Failed(failure))
            }
        }
    }

    /// Gives back what was not spent. If that can't be done it stays spent, which is on the safe side.
    async fn settle(&self, reservation: &Reservation, cost: NanoUsd, asked: &mut Asked) {
        asked.cost_usd += cost.usd();
        self.tally.add(Metric::ClaudeCost, cost.usd());
        match self.budget.settle(reservation, cost).await {
            Ok(spent) => self.tally.set(Metric::ClaudeSpentToday, spent.usd()),
            Err(trouble) => tracing::warn!(error = %trouble, "what a question did not cost stays reserved"),
        }
    }

    /// Reads and checks an answer.
    async fn read(&self, candidate: &Candidate, body: &[u8], reservation: &Reservation, mut asked: Asked) -> Advice {
        asked.usage = answer::usage(body);
        if let Some(usage) = &asked.usage {
            let input = usage.input_tokens + usage.cache_creation_input_tokens + usage.cache_read_input_tokens;
            self.tally.add(Metric::ClaudeInputTokens, input as f64);
            self.tally.add(Metric::ClaudeOutputTokens, usage.output_tokens as f64);
        }
        // An answer that doesn't say what it cost may have cost all that was reserved.
        let cost = asked.usage.as_ref().map_or(reservation.most(), |usage| self.engager.price.cost(usage));
        self.settle(reservation, cost, &mut asked).await;
        asked.answer = Some(answer::shown(body));
        let campaign = Campaign::new(&campaign_shown(&candidate.campaign, &candidate.recipients));
        let bounds = Bounds {
            tokens: &candidate.tokens,
            campaign: campaign.as_ref().unwrap_or(&candidate.campaign),
            hosts: &candidate.hosts,
            longest_delay_hours: self.config.policy.followups.longest_delay_hours,
        };
        match answer::check(body, &bounds) {
            Ok(checked) => {
                asked.by = By::Claude;
                Advice::Chosen(Box::new((checked.into_choice(), asked)))
            }
            Err(refusal) => {
                // The refusal shows some of the answer, which may repeat an address: that is for the receipt, not for a log.
                let decision = candidate.happening.decision_id();
                tracing::warn!(decision, "Claude's answer was refused; the receipt says why");
                asked.refused = Some(refusal.to_string());
                self.decide_by_rules(candidate, asked, "Claude's answer was refused")
            }
        }
    }

    /// Claude refuses the key, the model, the account or the question, and will go on to do so until somebody changes a setting: which an
    /// alarm says.
    fn refused_for_good(&self, candidate: &Candidate, asked: Asked, why: &str) -> Advice {
        self.tally.one(Metric::ClaudeRefusals);
        self.decide_by_rules(candidate, asked, why)
    }

    fn decide_by_rules(&self, candidate: &Candidate, mut asked: Asked, because: &str) -> Advice {
        if asked.tries == 0 {
            asked.model = None;
        }
        let choice = rules::decide(&candidate.engaged);
        Advice::Chosen(Box::new((choice, Asked { by: By::Rules, because: Some(because.to_owned()), ..asked })))
    }
}
