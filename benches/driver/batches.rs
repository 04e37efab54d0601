//! `protect` and `engage`, handed batches of each size.
//!
//! Twice: once for the time, and once through a proxy that counts, which takes time itself.

use std::path::Path;

use rebound_dev::template::template;
use serde::Serialize;
use serde_json::Value;

use crate::Failure;
use crate::elsewhere::{Elsewhere, Variables};
use crate::figures::{Counting, Units};
use crate::function::{Function, Program};
use crate::mail::{self, What};
use crate::receive::bar;
use crate::stored::Storage;

/// Batches of one size.
struct Plan {
    function: &'static str,
    what: What,
    size: usize,
    events: usize,
}

/// What batches of one size cost.
#[derive(Debug, Serialize)]
pub(crate) struct Batches {
    /// Whose.
    pub(crate) function: &'static str,
    /// Which events, in words.
    pub(crate) what: &'static str,
    /// How many are in a batch.
    pub(crate) size: usize,
    /// How many there were.
    pub(crate) events: usize,
    /// How many were handled in a second.
    pub(crate) per_second: f64,
    /// CPU of each event, in milliseconds.
    pub(crate) cpu_ms: f64,
    /// What each event cost DynamoDB.
    pub(crate) units: Units,
}

/// The sizes that are tried: up to what the template's mappings allow.
fn plans() -> Result<Vec<Plan>, Failure> {
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
    add("protect", What::Bulk, &[1, 10, 100], bulk, |size| (size * 200).clamp(1_000, 50_000));
    add("protect", What::Urgent, &[1, 10], urgent, |size| (size * 30).clamp(500, 3_000));
    add("engage", What::Engaged, &[1, 5], engage, |_| 500);
    Ok(plans)
}

/// Measures all of them. `scale`: how many of the usual number of events.
pub(crate) async fn batches(binaries: &Path, aws: &Elsewhere, scale: f64) -> Result<Vec<Batches>, Failure> {
    let storage = Storage::new(aws)?;
    let mut measured = Vec::new();
    for mut plan in plans()? {
        plan.events = ((plan.events as f64 * scale) as usize).max(plan.size * 2).next_multiple_of(plan.size);
        let program = Program { path: binaries.join(plan.function), argument: None, function: plan.function };
        let timed = run(&program, aws.variables(), &storage, &plan).await?;
        let counting = Counting::start(aws.variable("AWS_ENDPOINT_URL_DYNAMODB")?).await?;
        let units = count(&program, &aws.with_dynamodb(counting.url()), &storage, &plan, &counting).await?;
        measured.push(Batches { units, ..timed });
    }
    Ok(measured)
}

/// Hands the batches over, and takes the time.
async fn run(program: &Program, variables: &Variables, storage: &Storage, plan: &Plan) -> Result<Batches, Failure> {
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

/// Hands others over, and counts what they cost.
async fn count(
    program: &Program,
    variables: &Variables,
    storage: &Storage,
    plan: &Plan,
    counting: &Counting,
) -> Result<Units, Failure> {
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

/// The batches, after one by which connections are opened and caches filled. What they are about is stored.
async fn prepared(storage: &Storage, plan: &Plan) -> Result<Vec<String>, Failure> {
    let stories = mail::stories(plan.what, plan.size + plan.events)?;
    if plan.what == What::Engaged {
        storage.store(stories.iter().flat_map(|story| story.rows.clone())).await?;
    }
    stories.chunks(plan.size).map(|stories| mail::invocation(plan.what, stories)).collect()
}

/// Hands a batch over, and expects that all of it is handled. Answers how many seconds that took.
async fn hand_over(function: &Function, batch: String) -> Result<f64, Failure> {
    let (took, answer) = function.invoke(batch).await?;
    let parsed: Value = serde_json::from_str(&answer)?;
    let failures = parsed.get("batchItemFailures").and_then(Value::as_array);
    match failures {
        Some(failures) if failures.is_empty() => Ok(took.as_secs_f64()),
        _ => Err(format!("some of a batch was not handled: {answer}").into()),
    }
}
