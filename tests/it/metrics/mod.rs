//! What is measured: every metric by a story that brings it about, each line by the specification, and what of it the template's alarms
//! and dashboard look at.

mod alarms;
mod cost;
mod lines;
mod story;
mod watched;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use rebound::metrics::Metrics;
use serde_json::Value;

/// What the tests call the stack.
const STACK: &str = "rebound-test";

/// The lines that were written, where a test can read them.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    /// Metrics that are written here.
    fn metrics(&self) -> Metrics {
        let lines = Arc::clone(&self.0);
        Metrics::new(STACK, move |line| lines.lock().unwrap().push(line.to_owned()))
    }

    /// As they were written since the last time.
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

fn read(lines: &[String]) -> Vec<Value> {
    lines.iter().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// The names of a line's metrics, and their units.
fn definitions(line: &Value) -> Vec<(&str, Option<&str>)> {
    let directives = line["_aws"]["CloudWatchMetrics"].as_array().unwrap();
    let metrics = directives.iter().flat_map(|directive| directive["Metrics"].as_array().unwrap());
    metrics.map(|metric| (metric["Name"].as_str().unwrap(), metric["Unit"].as_str())).collect()
}

/// What each metric adds up to in these lines, as CloudWatch would sum it up; of a distribution, how many values there are.
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
