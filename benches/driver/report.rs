//! The result table.

use std::path::{Path, PathBuf};

use rebound_dev::output::{Column, Table, count, paragraph};
use serde::Serialize;

use crate::BoxError;
use crate::aws_process::AwsProcess;
use crate::batches::{Batches, batches};
use crate::figures::Pair;
use crate::goals::{Goal, goals};
use crate::receive::{Allocations, MemoryGrowth, Times, allocations, memory, programs, times};
use crate::sizes::{Size, sizes};
use crate::starts::{Starts, starts};

/// Options of the measurement.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Number of events that receive and the baseline get each
    #[arg(long, default_value_t = 10_000)]
    events: usize,
    /// Number of timed starts of each program
    #[arg(long, default_value_t = 101)]
    starts: usize,
    /// Number of events before receive's memory is measured; 0: not measured
    #[arg(long, default_value_t = 100_000)]
    memory_events: usize,
    /// Factor of the usual number of events for protect and engage
    #[arg(long, default_value_t = 1.0, value_name = "FACTOR")]
    batches: f64,
}

/// All results.
#[derive(Debug, Serialize)]
struct BenchReport {
    engines_file_in: PathBuf,
    starts: Starts,
    times: Times,
    allocations: Allocations,
    memory: Option<MemoryGrowth>,
    sizes: Vec<Size>,
    batches: Vec<Batches>,
    goals: Vec<Goal>,
}

/// Measures everything.
pub(crate) async fn run(
    binaries: &Path,
    aws: &AwsProcess,
    arguments: &Arguments,
    as_json: bool,
) -> Result<(), BoxError> {
    let sizes = sizes(binaries, binaries.parent().unwrap_or(binaries))?;
    let pair = programs(binaries);
    let starts = starts(binaries, aws, arguments.starts).await?;
    let times = times(&pair, aws.variables(), arguments.events).await?;
    let allocations = allocations(binaries, aws, arguments.events.min(2_000)).await?;
    let batches = batches(binaries, aws, arguments.batches).await?;
    let memory = match arguments.memory_events {
        0 => None,
        events => Some(memory(&pair[0], aws.variables(), events).await?),
    };
    let goals = goals(&starts, &times, memory.as_ref(), &sizes);
    let report = BenchReport {
        engines_file_in: aws.data().to_owned(),
        starts,
        times,
        allocations,
        memory,
        sizes,
        batches,
        goals,
    };
    if as_json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print(&report);
    }
    Ok(())
}

fn print(report: &BenchReport) {
    of_receive(report).print();
    of_sizes(&report.sizes).print();
    of_batches(&report.batches).print();
    of_goals(&report.goals).print();
    paragraph(&format!(
        "Medians: of {}, and of {} of {} each; receive ÷ baseline is the median of the quotients of neighbours. The \
         embedded DynamoDB, in another process and with its file in {}, takes most of an event's milliseconds.",
        count(report.starts.starts, "start"),
        count(report.times.turns, "turn"),
        count(report.times.events / report.times.turns.max(1), "event"),
        report.engines_file_in.display(),
    ));
    paragraph(
        "Zips are of the programs measured, deflated as `make build` does; protect's and engage's units are counted in another run.",
    );
}

/// A table of one column of texts, and of numbers.
fn table(heads: &[&str]) -> Table {
    let columns = heads.iter().enumerate().map(|(index, head)| match index {
        0 => Column::text(*head),
        _ => Column::number(*head),
    });
    Table::new(columns)
}

fn of_receive(report: &BenchReport) -> Table {
    let BenchReport { starts, times, allocations, memory, .. } = report;
    let mut table = table(&["", "receive", "baseline", "hello", "receive ÷ baseline"]);
    let mut row = |what: &str, pair: &Pair, hello: Option<f64>, digits: usize| {
        let show = |value: f64| format!("{value:.digits$}");
        let hello = hello.map(show).unwrap_or_default();
        table.add([what.to_owned(), show(pair.receive), show(pair.baseline), hello, format!("{:.2}", pair.ratio)]);
    };
    let Starts { plain, tls, hello, .. } = starts;
    row("start to first poll, ms", &plain.first_poll, Some(hello.first_poll), 2);
    row("start to first poll, CPU, ms", &plain.cpu, Some(hello.cpu), 2);
    row("first event, ms", &plain.first_event, Some(hello.first_event), 2);
    row("with TLS: start to first poll, ms", &tls.first_poll, None, 2);
    row("with TLS: start to first poll, CPU, ms", &tls.cpu, None, 2);
    row("with TLS: first event, ms", &tls.first_event, None, 2);
    row("an event, p50, ms", &times.p50, None, 3);
    row("an event, p99, ms", &times.p99, None, 3);
    row("an event, CPU, ms", &times.cpu, None, 4);
    row("an event, allocations", &allocations.count, None, 0);
    row("an event, bytes allocated", &allocations.bytes, None, 0);
    if let Some(memory) = memory {
        table.add(["resident before the first event, MB".to_owned(), format!("{:.1}", memory.first_mb)]);
        let what = format!("resident after {}, MB", count(memory.events, "event"));
        table.add([what, format!("{:.1}", memory.resident_mb)]);
    }
    table
}

fn of_sizes(sizes: &[Size]) -> Table {
    let mut table = table(&["", "binary, MB", "zip, MB", "zip of `make build`, MB"]);
    for size in sizes {
        let built = size.built_zip_mb.map_or_else(|| "not built".to_owned(), |mb| format!("{mb:.2}"));
        table.add([size.program.to_owned(), format!("{:.2}", size.binary_mb), format!("{:.2}", size.zip_mb), built]);
    }
    table
}

fn of_batches(batches: &[Batches]) -> Table {
    let mut table = table(&[
        "function",
        "events",
        "batch size",
        "events a second",
        "CPU, ms for each",
        "calls for each",
        "read units",
        "write units",
    ]);
    for batches in batches {
        let units = &batches.units;
        table.add([
            batches.function.to_owned(),
            format!("{} × {}", batches.events, batches.what),
            batches.size.to_string(),
            format!("{:.0}", batches.per_second),
            format!("{:.3}", batches.cpu_ms),
            format!("{:.3}", units.calls),
            format!("{:.3}", units.read_units),
            format!("{:.3}", units.write_units),
        ]);
    }
    table
}

fn of_goals(goals: &[Goal]) -> Table {
    let mut table = table(&["goal", "measured", "at most", ""]);
    for goal in goals {
        table.add([
            goal.what.clone(),
            format!("{:.2}", goal.measured),
            format!("{:.2}", goal.most),
            if goal.met { "met" } else { "NOT MET" }.to_owned(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::Units;
    use crate::starts::Start;

    #[test]
    fn the_tables_of_the_bench_are_good_at_every_width() {
        let pair = Pair { receive: 12_345.678, baseline: 1_234.5, ratio: 10.0 };
        let start = Start { first_poll: pair, cpu: pair, first_event: pair };
        let report = BenchReport {
            engines_file_in: PathBuf::from("/var/tmp"),
            starts: Starts { starts: 21, plain: start, tls: start, hello: Start::default(), others: Vec::new() },
            times: Times { events: 10_000, turns: 10, p50: pair, p99: pair, cpu: pair },
            allocations: Allocations { count: pair, bytes: pair },
            memory: Some(MemoryGrowth { events: 1_000_000, first_mb: 12.3, resident_mb: 45.6 }),
            sizes: vec![Size { program: "receive", binary_mb: 12.34, zip_mb: 5.67, built_zip_mb: None }],
            batches: vec![Batches {
                function: "protect",
                what: "complaints of campaigns",
                size: 1_000,
                events: 1_234_567,
                per_second: 123_456.0,
                cpu_ms: 1.234,
                units: Units::default(),
            }],
            goals: vec![Goal {
                what: "receive ÷ baseline: an event, CPU".to_owned(),
                measured: 1.25,
                most: 1.3,
                met: false,
            }],
        };
        let tables =
            [of_receive(&report), of_sizes(&report.sizes), of_batches(&report.batches), of_goals(&report.goals)];
        for table in tables {
            assert_eq!(table.faults(), Vec::<String>::new(), "{}", table.render(80, false));
        }
    }
}
