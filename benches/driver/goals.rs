//! The goals of the measurements, and their results.

use serde::Serialize;

use crate::receive::{MemoryGrowth, Times};
use crate::sizes::Size;
use crate::starts::Starts;

/// One goal.
#[derive(Debug, Serialize)]
pub(crate) struct Goal {
    /// The limited value.
    pub(crate) what: String,
    /// The measured value.
    pub(crate) measured: f64,
    /// The maximum.
    pub(crate) most: f64,
    /// True if the value is within the maximum.
    pub(crate) met: bool,
}

impl Goal {
    fn new(what: &str, measured: f64, most: f64) -> Self {
        Self { what: what.to_owned(), measured, most, met: measured <= most }
    }
}

/// Returns all goals.
pub(crate) fn goals(starts: &Starts, times: &Times, memory: Option<&MemoryGrowth>, sizes: &[Size]) -> Vec<Goal> {
    let start = 1.5 * starts.hello.first_poll + 3.0;
    let mut goals = vec![
        Goal::new("an event's CPU, receive ÷ baseline", times.cpu.ratio, 1.25),
        Goal::new("an event's p50, receive ÷ baseline", times.p50.ratio, 1.15),
        Goal::new("start to first poll, ms; at most 1.5 × hello's + 3", starts.plain.first_poll.receive, start),
        Goal::new("the same with TLS, which hello has not", starts.tls.first_poll.receive, start),
    ];
    for other in &starts.others {
        goals.push(Goal::new(&format!("{}: start to first poll, ms", other.function), other.plain, start));
        goals.push(Goal::new(&format!("{}: the same with TLS", other.function), other.tls, start));
    }
    if let Some(memory) = memory {
        let what = format!("resident after {} events, MB", memory.events);
        goals.push(Goal::new(&what, memory.resident_mb, 20.0));
    }
    for (program, most) in [("receive", 2.5), ("engage", 3.5), ("consent", 2.6), ("act", 3.3)] {
        if let Some(size) = sizes.iter().find(|size| size.program == program) {
            goals.push(Goal::new(&format!("zip of {program}, MB"), size.zip_mb, most));
        }
    }
    goals
}
