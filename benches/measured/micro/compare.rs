//! Verification next to the official crate, in turns, many times. The fastest turn counts, because other load can only
//! slow a turn down.

use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::deliveries::{self, SignedDelivery};
use crate::verify::{Rebound, StandardWebhooks, Verifier};

/// Approximate duration of a turn.
const TURN: Duration = Duration::from_millis(2);
const TURNS: usize = 151;

/// Result of one case, in nanoseconds per verification.
struct Compared {
    case: String,
    bytes: usize,
    ours: f64,
    theirs: f64,
}

/// Prints the table for people.
pub(crate) fn print_summary() {
    println!("\nVerification in {TURNS} turns, of each the fastest. Below 1, ours is the faster.\n");
    println!("| body, signed with | {} | {} | ours ÷ theirs |", Rebound::NAME, StandardWebhooks::NAME);
    println!("| --- | --: | --: | --: |");
    for Compared { case, bytes, ours, theirs } in deliveries::all().iter().map(compared) {
        let reported =
            |nanoseconds: f64| format!("{nanoseconds:.0} ns, {:.0} MB/s", bytes as f64 * 1_000.0 / nanoseconds);
        println!("| {case} | {} | {} | {:.2} |", reported(ours), reported(theirs), ours / theirs);
    }
}

/// Prints a line of JSON for each case.
pub(crate) fn print_json() {
    for Compared { case, bytes, ours, theirs } in deliveries::all().iter().map(compared) {
        let name = |verifier: &str| format!("{verifier}_ns");
        let line = serde_json::json!({ "case": case, "bytes": bytes, name(Rebound::NAME): ours,
            name(StandardWebhooks::NAME): theirs, "ours_by_theirs": ours / theirs });
        println!("{line}");
    }
}

fn compared(delivery: &SignedDelivery) -> Compared {
    let (ours, theirs) = (Rebound::new(delivery.secrets()), StandardWebhooks::new(delivery.secrets()));
    let (ours, theirs) = (|| ours.accepts(delivery), || theirs.accepts(delivery));
    assert!([ours(), theirs()] == [delivery.is_right(); 2], "{delivery}");
    let repeats = (TURN.as_nanos() as f64 / turn(theirs, 16)).ceil() as u32;
    let (mut fastest, mut their_fastest) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..TURNS {
        fastest = fastest.min(turn(ours, repeats));
        their_fastest = their_fastest.min(turn(theirs, repeats));
    }
    Compared { case: delivery.to_string(), bytes: delivery.body.len(), ours: fastest, theirs: their_fastest }
}

/// Runs a turn. Returns nanoseconds per call.
fn turn(verifier: impl Fn() -> bool, repeats: u32) -> f64 {
    let started = Instant::now();
    for _ in 0..repeats {
        black_box(verifier());
    }
    started.elapsed().as_nanos().max(1) as f64 / f64::from(repeats)
}
