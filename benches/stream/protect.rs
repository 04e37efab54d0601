//! Cost of `protect` for each of very many delivered events of one campaign.
//!
//! The events are received at a steady rate and split by email into shards. Each shard fills its own batches, like the
//! template's bulk mapping. The batches are delivered one after another, in the order in which they would be full. They
//! are generated here, not read from the events table, because only `protect` is measured.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use aws_local::faults::{FaultProxy, Faults, Service};
use indicatif::ProgressBar;
use rebound::aws::stream::Invocation;
use rebound::protect::Protector;
use rebound::resend::campaign::Cohort;
use rebound::time::UnixMillis;
use rebound_dev::output::{Column, Table, count, paragraph};
use rebound_dev::samples;
use rebound_dev::stack::{EmbeddedAws, LocalAwsOptions};
use rebound_dev::template::template;
use serde_json::{Value, json};

use crate::BoxError;
use crate::campaign::{Batch, BenchCampaign};

const CAMPAIGN: &str = "autumn-bulbs";

/// Number of events per line of the table.
const PART: usize = 10_000;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Number of events
    #[arg(long, default_value_t = 100_000)]
    events: usize,
    /// Number of events received per second
    #[arg(long, default_value_t = 300.0)]
    rate: f64,
    /// Maximum number of events in a batch; by default that of the template's bulk mapping
    #[arg(long)]
    batch: Option<usize>,
    /// Number of shards
    #[arg(long, default_value_t = 4)]
    shards: u64,
    /// Measure only time, without DynamoDB's calls and units
    #[arg(long)]
    no_units: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Cost of some events.
#[derive(Clone, Copy, Default)]
struct Cost {
    events: f64,
    seconds: f64,
    calls: f64,
    write_units: f64,
    read_units: f64,
}

impl Cost {
    fn add(&mut self, other: &Self, share: f64) {
        self.events += other.events * share;
        self.seconds += other.seconds * share;
        self.calls += other.calls * share;
        self.write_units += other.write_units * share;
        self.read_units += other.read_units * share;
    }

    fn to_json(self) -> Value {
        let per_event = |sum: f64| sum / self.events;
        json!({
            "events": self.events.round(),
            "seconds": self.seconds,
            "calls_per_event": per_event(self.calls),
            "write_units_per_event": per_event(self.write_units),
            "read_units_per_event": per_event(self.read_units),
        })
    }
}

/// The embedded AWS with a protector on it, optionally through the counting proxy.
struct Bench {
    aws: EmbeddedAws,
    proxy: Option<FaultProxy>,
    faults: Faults,
    protector: Protector,
}

impl Bench {
    async fn start(counts_units: bool) -> Result<Self, BoxError> {
        let aws = EmbeddedAws::start(&LocalAwsOptions::in_memory(), |_| None).await?;
        let faults = Faults::default();
        let upstream = aws.variable("AWS_ENDPOINT_URL_DYNAMODB").unwrap_or_default();
        let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        let proxy = match counts_units {
            true => Some(FaultProxy::start(upstream, any, Service::DynamoDb, faults.clone()).await?),
            false => None,
        };
        let protector = Protector::from_environment(|name| match (&proxy, name) {
            (Some(proxy), "AWS_ENDPOINT_URL_DYNAMODB") => Some(proxy.url()),
            _ => aws.variable(name),
        })?;
        Ok(Self { aws, proxy, faults, protector })
    }

    /// Delivers a batch. Lambda's own work is not measured.
    async fn hand_over(&self, campaign: &BenchCampaign<'_>, batch: &Batch) -> Result<Cost, BoxError> {
        let invocation = campaign.invocation(batch)?;
        self.faults.plan(|_| None);
        self.faults.count_capacity(self.proxy.is_some());
        let started = Instant::now();
        let Invocation::Records(records) = Invocation::read(invocation)? else { return Err("no batch".into()) };
        let deadline = tokio::time::Instant::now() + template()?.function_timeout("protect")?;
        let answer = self.protector.records(&records, batch.at, deadline).await;
        let seconds = started.elapsed().as_secs_f64();
        if !answer.failures.is_empty() {
            return Err(format!("{} events failed", answer.failures.len()).into());
        }
        let (units, calls) = (self.faults.capacity(), self.faults.calls().len() as f64);
        let events = batch.events.len() as f64;
        Ok(Cost { events, seconds, calls, write_units: units.write_units, read_units: units.read_units })
    }

    /// The delivered events that were counted, by cohort.
    async fn delivered(&self) -> Result<BTreeMap<String, i64>, BoxError> {
        let query = self.aws.clients().dynamodb().query();
        let query = query.table_name(self.aws.variable("CAMPAIGNS_TABLE").unwrap_or_default());
        let query = query.key_condition_expression("campaign = :campaign AND cohort < :after");
        let query = query.expression_attribute_values(":campaign", attribute(CAMPAIGN));
        let items = query.expression_attribute_values(":after", attribute(":")).consistent_read(true).send().await?;
        let number = |item: &rebound::store::Item| {
            let cohort = item.get("cohort")?.as_s().ok()?;
            Cohort::parse(cohort)?;
            Some((cohort.clone(), item.get("delivered")?.as_n().ok()?.parse().ok()?))
        };
        Ok(items.items().iter().filter_map(number).collect())
    }
}

fn attribute(text: &str) -> aws_sdk_dynamodb::types::AttributeValue {
    aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned())
}

/// Results of one run: for each part, and in total.
struct Run {
    parts: Vec<Cost>,
    batches: usize,
    cohorts: BTreeMap<String, i64>,
    repeated: usize,
}

impl Run {
    fn all(&self) -> Cost {
        let mut all = Cost::default();
        self.parts.iter().for_each(|part| all.add(part, 1.0));
        all
    }

    /// Time of the last part divided by that of the first.
    fn slowdown(&self) -> f64 {
        let time = |part: Option<&Cost>| part.map_or(f64::NAN, |part| part.seconds / part.events);
        time(self.parts.last()) / time(self.parts.first())
    }
}

pub(crate) async fn run(arguments: &Arguments) -> Result<(), BoxError> {
    let timed = measure(arguments, false).await?;
    let counted = if arguments.no_units { None } else { Some(measure(arguments, true).await?) };
    if arguments.json {
        let parts = |run: &Run| run.parts.iter().map(|part| part.to_json()).collect::<Vec<_>>();
        let report = json!({
            "rate": arguments.rate,
            "shards": arguments.shards,
            "batches": timed.batches,
            "cohorts": timed.cohorts,
            "last_part_by_first": timed.slowdown(),
            "time": { "all": timed.all().to_json(), "parts": parts(&timed) },
            "units": counted.as_ref().map(|run| json!({ "all": run.all().to_json(), "parts": parts(run) })),
        });
        println!("{report:#}");
    } else {
        print(arguments, &timed, counted.as_ref());
    }
    Ok(())
}

async fn measure(arguments: &Arguments, counts_units: bool) -> Result<Run, BoxError> {
    let bulk = template()?.mappings()?.into_iter().find(|mapping| mapping.name == "Bulk").ok_or("no mapping Bulk")?;
    let sample = std::str::from_utf8(samples::body("email.delivered").ok_or("no sample")?)?;
    let took = Duration::from_secs_f64(arguments.events as f64 / arguments.rate);
    let began = UnixMillis::now().minus(took + bulk.window);
    let campaign = BenchCampaign { name: CAMPAIGN, began, rate: arguments.rate, sample };
    let size = arguments.batch.unwrap_or(bulk.batch_size).max(1);
    let batches = campaign.batches(arguments.events, arguments.shards, size, bulk.window);
    let bench = Bench::start(counts_units).await?;

    // Another campaign: connections are opened and caches filled before the measurement.
    let before = BenchCampaign { name: "before", ..campaign };
    bench.hand_over(&before, &Batch { events: (0..500).collect(), at: began }).await?;

    let progress = ProgressBar::new(arguments.events as u64);
    let mut parts: Vec<Cost> = Vec::new();
    let mut done = 0;
    for batch in &batches {
        let cost = bench.hand_over(&campaign, batch).await?;
        let mut left = batch.events.len();
        while left > 0 {
            let some = left.min(PART - done % PART);
            if done % PART == 0 {
                parts.push(Cost::default());
            }
            if let Some(part) = parts.last_mut() {
                part.add(&cost, some as f64 / cost.events);
            }
            (done, left) = (done + some, left - some);
        }
        progress.inc(batch.events.len() as u64);
    }
    progress.finish_and_clear();

    let cohorts = bench.delivered().await?;
    let counted: i64 = cohorts.values().sum();
    if usize::try_from(counted)? != arguments.events {
        return Err(format!("{counted} of {} events are counted", arguments.events).into());
    }
    let mut again: Vec<&Batch> = batches.iter().collect();
    fastrand::shuffle(&mut again);
    again.truncate(batches.len().div_ceil(10));
    for batch in &again {
        bench.hand_over(&campaign, batch).await?;
    }
    if bench.delivered().await? != cohorts {
        return Err("what was delivered again was counted again".into());
    }
    Ok(Run { parts, batches: batches.len(), cohorts, repeated: again.len() })
}

fn print(arguments: &Arguments, timed: &Run, counted: Option<&Run>) {
    table(timed, counted).print();
    paragraph(&format!(
        "{} a second in {}, {}. The last part took {:.2} times as long as the first.",
        count(arguments.rate, "event"),
        count(arguments.shards, "shard"),
        count(timed.batches, "batch"),
        timed.slowdown()
    ));
    paragraph(&format!(
        "{} delivered are counted, in {}; {} delivered again changed nothing.",
        timed.cohorts.values().sum::<i64>(),
        count(timed.cohorts.len(), "cohort"),
        count(timed.repeated, "batch")
    ));
    if counted.is_some() {
        paragraph("Units are counted in a second run, through a proxy. What a refused condition costs is not in them.");
    }
}

fn table(timed: &Run, counted: Option<&Run>) -> Table {
    let heads =
        ["events", "seconds", "ms per event", "calls per event", "write units per event", "read units per event"];
    let mut table = Table::new(heads.map(Column::number));
    let mut row = |name: String, time: &Cost, units: Option<&Cost>| {
        let per_event = |sum: fn(&Cost) -> f64| {
            units.map_or_else(|| "–".to_owned(), |units| format!("{:.4}", sum(units) / units.events))
        };
        table.add([
            name,
            format!("{:.2}", time.seconds),
            format!("{:.4}", time.seconds * 1_000.0 / time.events),
            per_event(|cost| cost.calls),
            per_event(|cost| cost.write_units),
            per_event(|cost| cost.read_units),
        ]);
    };
    for (index, time) in timed.parts.iter().enumerate() {
        let units = counted.and_then(|counted| counted.parts.get(index));
        row(format!("… {}", index * PART + time.events.round() as usize), time, units);
    }
    row("all".to_owned(), &timed.all(), counted.map(Run::all).as_ref());
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_protects_cost_is_good_at_every_width() {
        let cost = Cost { events: 100_000.0, seconds: 1_234.5, calls: 9.0, write_units: 8.0, read_units: 7.0 };
        let run = || Run { parts: vec![cost, cost], batches: 1, cohorts: BTreeMap::new(), repeated: 1 };
        assert_eq!(table(&run(), Some(&run())).faults(), Vec::<String>::new());
    }
}
