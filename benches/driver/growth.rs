//! Growth of an event's cost with the number of stored events. The cost should not grow.

use std::path::Path;
use std::time::Instant;

use rebound_dev::output::{Column, Table, paragraph};
use serde::Serialize;
use serde_json::json;

use crate::BoxError;
use crate::aws_process::{AwsProcess, Variables};
use crate::events::Everyday;
use crate::figures::{CountingDynamoDb, Pair, Units};
use crate::function::{Function, Program};
use crate::receive::{Times, bar, programs, times};
use crate::stored::{MAX_ROWS, Storage};

/// Number of rows given to the engine between two updates of the progress bar.
const PART: usize = 40 * MAX_ROWS;

/// Number of events whose calls are counted.
const COUNTED: usize = 200;

/// Options of the measurement.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Number of events stored before each measurement
    #[arg(long, value_delimiter = ',', default_values_t = [0, 100_000, 1_000_000])]
    stored: Vec<usize>,
    /// Number of events that each program gets at each size
    #[arg(long, default_value_t = 4_000)]
    growth_events: usize,
}

/// Cost of an event at one number of stored events.
#[derive(Debug, Serialize)]
struct Grown {
    stored: usize,
    seconds_to_store: f64,
    times: Times,
    receive: Units,
    baseline: Units,
}

/// Measures at each size, on one engine.
pub(crate) async fn run(
    binaries: &Path,
    aws: &AwsProcess,
    arguments: &Arguments,
    as_json: bool,
) -> Result<(), BoxError> {
    let (storage, everyday) = (Storage::new(aws)?, Everyday::new()?);
    let counting = CountingDynamoDb::start(aws.variable("AWS_ENDPOINT_URL_DYNAMODB")?).await?;
    let (pair, through_proxy) = (programs(binaries), aws.with_dynamodb(counting.url()));
    let (mut stored, mut all) = (0, Vec::new());
    for size in &arguments.stored {
        let started = Instant::now();
        stored += fill(&storage, &everyday, size.saturating_sub(stored)).await?;
        let seconds_to_store = started.elapsed().as_secs_f64();
        let times = times(&pair, aws.variables(), arguments.growth_events).await?;
        let receive = counted(&pair[0], &through_proxy, &everyday, &counting).await?;
        let baseline = counted(&pair[1], &through_proxy, &everyday, &counting).await?;
        let grown = Grown { stored, seconds_to_store, times, receive, baseline };
        stored += 2 * (grown.times.events + COUNTED);
        all.push(grown);
    }
    if as_json {
        println!("{:#}", json!({ "engines_file_in": aws.data(), "growth": all }));
    } else {
        print(&all);
    }
    Ok(())
}

/// Stores this number of rows of everyday events.
async fn fill(storage: &Storage, everyday: &Everyday, rows: usize) -> Result<usize, BoxError> {
    let progress = bar(rows as u64, "events stored");
    let mut left = rows;
    while left > 0 {
        let part = left.min(PART);
        storage.store((0..part).map(|_| everyday.row()).collect::<Result<Vec<_>, _>>()?).await?;
        progress.inc(part as u64);
        left -= part;
    }
    progress.finish_and_clear();
    Ok(rows)
}

/// Counts the DynamoDB usage per event.
async fn counted(
    program: &Program,
    variables: &Variables,
    everyday: &Everyday,
    counting: &CountingDynamoDb,
) -> Result<Units, BoxError> {
    let (function, _) = Function::start(program, variables).await?;
    function.webhook(everyday.webhook()).await?;
    counting.begin();
    for _ in 0..COUNTED {
        function.webhook(everyday.webhook()).await?;
    }
    Ok(counting.per_event(COUNTED))
}

fn print(all: &[Grown]) {
    table(all).print();
    paragraph(
        "Calls, units and CPU for each event. p50 grows because the embedded DynamoDB gets slower: the p50 of the baseline grows as much.",
    );
}

fn table(all: &[Grown]) -> Table {
    let mut table = Table::new([
        Column::number("events stored"),
        Column::number("in seconds").least(1),
        Column::number("receive: calls"),
        Column::number("write units"),
        Column::number("read units"),
        Column::number("CPU, ms"),
        Column::number("p50, ms"),
        Column::number("baseline: CPU, ms"),
        Column::number("baseline: p50, ms"),
        Column::number("CPU ÷ empty"),
        Column::number("CPU ÷ baseline"),
    ]);
    let first = all.first().map_or(f64::NAN, |grown| grown.times.cpu.receive);
    for grown in all {
        let Pair { receive: cpu, baseline: baseline_cpu, ratio } = grown.times.cpu;
        table.add([
            grown.stored.to_string(),
            format!("{:.0}", grown.seconds_to_store),
            format!("{:.3}", grown.receive.calls),
            format!("{:.3}", grown.receive.write_units),
            format!("{:.3}", grown.receive.read_units),
            format!("{cpu:.4}"),
            format!("{:.3}", grown.times.p50.receive),
            format!("{baseline_cpu:.4}"),
            format!("{:.3}", grown.times.p50.baseline),
            format!("{:.2}", cpu / first),
            format!("{ratio:.2}"),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_growth_is_good_at_every_width() {
        let pair = Pair { receive: 1.234_5, baseline: 0.987_6, ratio: 1.25 };
        let times = || Times { events: 4_000, turns: 4, p50: pair, p99: pair, cpu: pair };
        let grown = [0, 1_000_000].map(|stored| Grown {
            stored,
            seconds_to_store: 1_234.0,
            times: times(),
            receive: Units::default(),
            baseline: Units::default(),
        });
        assert_eq!(table(&grown).faults(), Vec::<String>::new());
    }
}
