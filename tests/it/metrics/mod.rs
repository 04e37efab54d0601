//! The metrics: each is produced by a scenario, each line is checked against the specification, and each metric of the
//! template's alarms and dashboard exists.

mod alarms;
mod cost;
mod lines;
mod story;
mod watched;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use rebound::metrics::Metrics;
use serde_json::Value;

/// The stack's name in the tests.
const STACK: &str = "rebound-test";

/// The written lines, readable by a test.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    /// Metrics that are written here.
    fn metrics(&self) -> Metrics {
        let lines = Arc::clone(&self.0);
        Metrics::new(STACK, move |line| lines.lock().unwrap().push(line.to_owned()))
    }

    /// Returns the lines written since the last call.
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

fn read(lines: &[String]) -> Vec<Value> {
    lines.iter().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// The names of a line's metrics, with their units.
fn definitions(line: &Value) -> Vec<(&str, Option<&str>)> {
    let directives = line["_aws"]["CloudWatchMetrics"].as_array().unwrap();
    let metrics = directives.iter().flat_map(|directive| directive["Metrics"].as_array().unwrap());
    metrics.map(|metric| (metric["Name"].as_str().unwrap(), metric["Unit"].as_str())).collect()
}

/// The sum of each metric in these lines, as CloudWatch computes it; for a distribution, the number of values.
fn sums(lines: &[Value]) -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    for line in lines {
        for (name, _) in definitions(line) {
            let value = &line[name];
            let value = match name {
                "AcknowledgeLatency" => value["Count"].as_f64().unwrap_or(1.0),
                _ => value.as_f64().unwrap(),
            };
            *sums.entry(name.to_owned()).or_default() += value;
        }
    }
    sums
}
