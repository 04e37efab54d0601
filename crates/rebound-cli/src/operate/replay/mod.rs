//! Replays stored events through the code that the stream invokes; effects that exist already are not repeated.
//!
//! - [`select`]: which events.
//! - [`effects`]: the new effects, from the activities of `protect`.
//!
//! `protect` runs in this process, with the settings of the deployed function: with another campaign tag it would count for another
//! campaign. Opens and clicks are sent to the queue again, so that the deployed `engage` decides about them, with its own key, budget and
//! concurrency.

pub mod effects;
pub mod select;

use std::collections::BTreeMap;
use std::time::Duration;

use rebound::aws::queue::{BATCH, EngageMessage, Queue};
use rebound::aws::stream::StreamRecord;
use rebound::aws::topic::Topic;
use rebound::aws::{AwsEnvironment, CallError, MissingVariable, describe};
use rebound::config::{ConfigError, ProtectConfig};
use rebound::metrics::STACK_VARIABLE;
use rebound::protect::Protector;
use rebound::store::{Item, string};
use rebound::time::UnixMillis;
use tokio::time::Instant;

use self::effects::ReplayEffects;
use super::target::{Target, TargetError};
use crate::operate::clients;

/// Number of events of a batch: the batch size of the event source mapping for single events.
const BATCH_SIZE: usize = 100;

/// Maximum number of attempts at an event.
const MAX_ATTEMPTS: u32 = 4;

/// Maximum time of a batch: the time that the function has.
const BATCH_TIMEOUT: Duration = Duration::from_secs(55);

/// The settings that the deployed function has, and that must be the same here. One of them in the environment says that all are there.
const SETTINGS: [&str; 2] = ["CAMPAIGN_TAG", "POLICY"];

/// The variable against which the policy is checked.
const RETENTION: &str = "RETENTION_DAYS";

/// A failure of `replay`.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The target can't be resolved.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The settings are invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The environment lacks something.
    #[error(transparent)]
    Aws(#[from] MissingVariable),
    /// The events can't be read.
    #[error("the events can't be read: {0}")]
    Read(#[from] CallError),
    /// The settings of the deployed function can't be read.
    #[error(
        "protect's settings can't be read: {0}; allow lambda:GetFunctionConfiguration, or set CAMPAIGN_TAG and POLICY to the stack's values"
    )]
    Settings(String),
}

/// Who handles the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayFunction {
    /// Counts, brakes, alerts; and hands opens and clicks on.
    Protect,
    /// Classifies opens and clicks, and decides about them.
    Engage,
}

/// The tables on which the events are replayed.
#[derive(Clone, Debug)]
pub enum On {
    /// The target's own tables: the effects happen.
    Target,
    /// A copy, with this environment: the effects are only reported.
    Copy(BTreeMap<String, String>),
}

/// The result of a replay.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReplayReport {
    /// Number of events that were processed.
    pub handled: usize,
    /// The keys of those that were not, after several tries.
    pub left_over: Vec<String>,
    /// The new effects.
    pub effects: ReplayEffects,
    /// The error of the queue, if it is the cause.
    pub why: Option<String>,
}

/// Replays events, until every event of a batch fails. `done` is called with the number of events of each batch.
///
/// # Errors
/// The settings can't be read, or are invalid.
pub async fn replay(
    target: &Target,
    rows: &[Item],
    function: ReplayFunction,
    on: On,
    done: impl Fn(usize),
) -> Result<ReplayReport, ReplayError> {
    let variables = variables(target, on).await?;
    let variable = |name: &str| variables.get(name).cloned();
    let aws = AwsEnvironment::read(variable)?;
    let config = ProtectConfig::read(variable)?;
    let queue = Queue::new(aws.sqs(), &config.engage_queue);
    let mut report = ReplayReport::default();
    match function {
        ReplayFunction::Engage => {
            for some in rows.chunks(BATCH) {
                let deadline = Instant::now() + BATCH_TIMEOUT;
                let engagements: Vec<EngageMessage> = some.iter().map(engagement).collect();
                match queue.send(&engagements, deadline).await {
                    Ok(()) => {
                        report.handled += some.len();
                        report.effects.handed_on += some.len();
                    }
                    Err(error) => {
                        report.why = Some(error.to_string());
                        report.left_over.extend(rows.iter().skip(report.handled).map(key));
                        break;
                    }
                }
                done(some.len());
            }
        }
        ReplayFunction::Protect => {
            let topic = Topic::new(aws.sns(), &config.alerts_topic);
            let protector = Protector::new(aws.dynamodb(), topic, queue, config);
            let mut seen = 0;
            for some in rows.chunks(BATCH_SIZE) {
                let left = protect(&protector, some, &mut report.effects).await;
                let is_nothing_handled = left.len() == some.len();
                report.handled += some.len() - left.len();
                report.left_over.extend(left);
                seen += some.len();
                done(some.len());
                // What fails at a whole batch, several times, fails at the next one too.
                if is_nothing_handled {
                    report.left_over.extend(rows.iter().skip(seen).map(key));
                    break;
                }
            }
        }
    }
    Ok(report)
}

/// Handles a batch until nothing of it fails, or it has failed often enough. Adds what was new to the effects, and returns the keys of what
/// is left over.
async fn protect(protector: &Protector, rows: &[Item], effects: &mut ReplayEffects) -> Vec<String> {
    let mut left: Vec<&Item> = rows.iter().collect();
    for round in 0..MAX_ATTEMPTS {
        if round > 0 {
            tokio::time::sleep(Duration::from_millis(500 << round)).await;
        }
        let records: Vec<StreamRecord> =
            left.iter().zip(0..).map(|(row, number): (_, u32)| record(row, number)).collect();
        let deadline = Instant::now() + BATCH_TIMEOUT;
        let (answer, activities) = protector.records_with_activities(&records, UnixMillis::now(), deadline).await;
        effects.add(activities);
        let failed = |number: &u32| answer.failures.iter().any(|failure| failure.id == number.to_string());
        left = left.into_iter().zip(0..).filter(|(_, number)| failed(number)).map(|(row, _)| row).collect();
        if left.is_empty() {
            break;
        }
    }
    left.into_iter().map(key).collect()
}

fn key(row: &Item) -> String {
    string(row, "event").to_owned()
}

/// A row as the stream hands it over.
fn record(row: &Item, number: u32) -> StreamRecord {
    let keys = ["email_id", "event"];
    let keys = keys.iter().filter_map(|name| Some(((*name).to_owned(), row.get(*name)?.clone())));
    StreamRecord { sequence_number: number.to_string(), keys: keys.collect(), row: row.clone() }
}

fn engagement(row: &Item) -> EngageMessage {
    EngageMessage { email_id: string(row, "email_id").to_owned(), event: string(row, "event").to_owned() }
}

/// The environment of `protect`: as deployed, or, for a dry run, on the copy.
async fn variables(target: &Target, on: On) -> Result<BTreeMap<String, String>, ReplayError> {
    let mut variables = target.variables().clone();
    variables.extend(settings(target).await?);
    variables.insert(STACK_VARIABLE.to_owned(), target.stack().to_owned());
    match on {
        On::Copy(copy) => variables.extend(copy),
        On::Target => {
            for name in ["ALERTS_TOPIC_ARN", "ENGAGE_QUEUE_URL"] {
                variables.insert(name.to_owned(), target.lookup(name).await?);
            }
        }
    }
    Ok(variables)
}

/// The settings of the deployed function, unless the environment has them.
async fn settings(target: &Target) -> Result<BTreeMap<String, String>, ReplayError> {
    let are_set = SETTINGS.iter().any(|name| target.variable(name).is_some());
    if are_set || target.is_local() {
        return Ok(BTreeMap::new());
    }
    let function = target.lookup("PROTECT_FUNCTION").await?;
    let asked = clients::lambda(target.aws()).get_function_configuration().function_name(function).send().await;
    let configuration = asked.map_err(|error| ReplayError::Settings(describe(&error)))?;
    let set = configuration.environment.and_then(|environment| environment.variables).unwrap_or_default();
    let is_one = |name: &str| SETTINGS.contains(&name) || name == RETENTION;
    Ok(set.into_iter().filter(|(name, value)| is_one(name) && !value.is_empty()).collect())
}
