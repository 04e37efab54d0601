//! Batches of each size, handled by `protect` and `engage`.
//!
//! Measured twice: once for the time, and once through a counting proxy, which takes time itself.

use std::path::Path;

use rebound_dev::template::template;
use serde::Serialize;
use serde_json::Value;

use crate::BoxError;
use crate::aws_process::{AwsProcess, Variables};
use crate::figures::{CountingDynamoDb, Units};
use crate::function::{Function, Program};
use crate::mail::{self, EventMix};
use crate::receive::bar;
use crate::stored::Storage;

/// Batches of one size.
struct Plan {
    function: &'static str,
    what: EventMix,
    size: usize,
    events: usize,
}

/// Cost of batches of one size.
#[derive(Debug, Serialize)]
pub(crate) struct Batches {
    /// The function.
    pub(crate) function: &'static str,
    /// Description of the events.
    pub(crate) what: &'static str,
    /// Number of events in a batch.
    pub(crate) size: usize,
    /// Number of events in total.
    pub(crate) events: usize,
    /// Number of events per second.
    pub(crate) per_second: f64,
    /// CPU time per event, in milliseconds.
    pub(crate) cpu_ms: f64,
    /// DynamoDB units per event.
    pub(crate) units: Units,
}

/// The sizes to measure, up to the maximum of the template's mappings.
fn plans() -> Result<Vec<Plan>, BoxError> {
    let mappings = template()?.mappings()?;
    let most = |name: &str| {
        let mapping = mappings.iter().find(|mapping| mapping.name == name);
        mapping.map(|mapping| mapping.batch_size).ok_or_else(|| format!("template.yaml has no mapping {name}"))
    };
    let queue = template()?.queue_mappings()?.into_iter().find(|mapping| mapping.function == "engage");
    let engage = queue.ok_or("template.yaml has no queue for engage")?.batch_size;
    let (bulk, urgent) = (most("Bulk")?, most("Urgent")?);
    let mut plans = Vec::new();
    let mut add = |function, what, sizes: &[usize], most: usize, events: fn(usize) -> usize| {
        let sizes = sizes.iter().copied().filter(|size| *size < most).chain([most]);
        plans.extend(sizes.map(|size| Plan { function, what, size, events: events(size) }));
    };
    add("protect", EventMix::Bulk, &[1, 10, 100], bulk, |size| (size * 200).clamp(1_000, 50_000));
    add("protect", EventMix::Urgent, &[1, 10], urgent, |size| (size * 30).clamp(500, 3_000));
    add("engage", EventMix::Engaged, &[1, 5], engage, |_| 500);
    Ok(plans)
}

/// Measures all sizes. `scale` multiplies the usual number of events.
pub(crate) async fn batches(binaries: &Path, aws: &AwsProcess, scale: f64) -> Result<Vec<Batches>, BoxError> {
    let storage = Storage::new(aws)?;
    let mut measured = Vec::new();
    for mut plan in plans()? {
        plan.events = ((plan.events as f64 * scale) as usize).max(plan.size * 2).next_multiple_of(plan.size);
        let program = Program { path: binaries.join(plan.function), argument: None, function: plan.function };
        let timed = run(&program, aws.variables(), &storage, &plan).await?;
        let counting = CountingDynamoDb::start(aws.variable("AWS_ENDPOINT_URL_DYNAMODB")?).await?;
        let units = count(&program, &aws.with_dynamodb(counting.url()), &storage, &plan, &counting).await?;
        measured.push(Batches { units, ..timed });
    }
    Ok(measured)
}

/// Handles the batches, and measures the time.
async fn run(program: &Program, variables: &Variables, storage: &Storage, plan: &Plan) -> Result<Batches, BoxError> {
    let (function, _) = Function::start(program, variables).await?;
    let mut batches = prepared(storage, plan).await?.into_iter();
    if let Some(first) = batches.next() {
        hand_over(&function, first).await?;
    }
    let progress = bar(plan.events as u64, plan.what.in_words());
    let before = function.cpu()?;
    let mut seconds = 0.0;
    for batch in batches {
        seconds += hand_over(&function, batch).await?;
        progress.inc(plan.size as u64);
    }
    let cpu_ms = (function.cpu()? - before) / plan.events as f64;
    progress.finish_and_clear();
    Ok(Batches {
        function: plan.function,
        what: plan.what.in_words(),
        size: plan.size,
        events: plan.events,
        per_second: plan.events as f64 / seconds,
        cpu_ms,
        units: Units::default(),
    })
}

/// Handles other batches, and counts their units.
async fn count(
    program: &Program,
    variables: &Variables,
    storage: &Storage,
    plan: &Plan,
    counting: &CountingDynamoDb,
) -> Result<Units, BoxError> {
    let (function, _) = Function::start(program, variables).await?;
    let mut batches = prepared(storage, plan).await?.into_iter();
    if let Some(first) = batches.next() {
        hand_over(&function, first).await?;
    }
    counting.begin();
    for batch in batches {
        hand_over(&function, batch).await?;
    }
    Ok(counting.per_event(plan.events))
}

/// Returns the batches, with a first one that opens connections and fills caches. Stores the rows that they need.
async fn prepared(storage: &Storage, plan: &Plan) -> Result<Vec<String>, BoxError> {
    let stories = mail::stories(plan.what, plan.size + plan.events)?;
    if plan.what == EventMix::Engaged {
        storage.store(stories.iter().flat_map(|story| story.rows.clone())).await?;
    }
    stories.chunks(plan.size).map(|stories| mail::invocation(plan.what, stories)).collect()
}

/// Handles a batch, and requires that all of it succeeds. Returns the time in seconds.
async fn hand_over(function: &Function, batch: String) -> Result<f64, BoxError> {
    let (took, answer) = function.invoke(batch).await?;
    let parsed: Value = serde_json::from_str(&answer)?;
    let failures = parsed.get("batchItemFailures").and_then(Value::as_array);
    match failures {
        Some(failures) if failures.is_empty() => Ok(took.as_secs_f64()),
        _ => Err(format!("some of a batch was not handled: {answer}").into()),
    }
}
