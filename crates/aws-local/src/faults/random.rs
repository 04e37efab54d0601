//! A random plan: a fraction of the calls fails, each in one of the ways of AWS and the network.

use std::time::{Duration, Instant};

use super::{Call, Fault, Half, HalfResponse};

/// Maximum delay of a response, in milliseconds.
const MAX_DELAY_MILLIS: u64 = 400;

/// Fails this fraction of the calls, at random from `seed`.
pub fn random(fraction: f64, seed: u64) -> impl FnMut(&Call) -> Option<Fault> + Send + 'static {
    let mut dice = fastrand::Rng::with_seed(seed);
    move |call| (dice.f64() < fraction).then(|| one(call, &mut dice))
}

/// Makes a service unresponsive for this fraction of the time, at the end of each `period`.
pub fn hanging(fraction: f64, period: Duration) -> impl FnMut(&Call) -> Option<Fault> + Send + 'static {
    let began = Instant::now();
    move |_| {
        let into_period = began.elapsed().as_secs_f64() % period.as_secs_f64();
        (into_period >= period.as_secs_f64() * (1.0 - fraction)).then_some(Fault::Hang)
    }
}

fn one(call: &Call, dice: &mut fastrand::Rng) -> Fault {
    // A third of the faults of transactions are of the kind that only transactions have.
    if call.operation == "TransactWriteItems" && dice.u8(..3) == 0 {
        let response = if dice.bool() { HalfResponse::None } else { HalfResponse::AfterCommit };
        let span = Duration::from_millis(dice.u64(20..=MAX_DELAY_MILLIS));
        return Fault::ShowHalf(Half { late: dice.usize(..8), span, response });
    }
    match dice.u8(..6) {
        0 => Fault::RefuseBefore,
        1 => Fault::LoseAnswer,
        2 => Fault::Throttle,
        3 => Fault::ServerError,
        // Only writes conflict.
        4 if is_write(&call.operation) => Fault::Conflict,
        _ => Fault::Slow(Duration::from_millis(dice.u64(20..=MAX_DELAY_MILLIS))),
    }
}

fn is_write(operation: &str) -> bool {
    matches!(operation, "PutItem" | "UpdateItem" | "DeleteItem" | "TransactWriteItems")
}

#[cfg(test)]
mod tests {
    use super::super::Service;
    use super::*;

    #[test]
    fn a_service_hangs_for_a_part_of_the_time() {
        let call = Call { index: 0, service: Service::Sns, operation: "Publish".to_owned() };
        let hangs = |fraction| hanging(fraction, Duration::from_secs(3_600))(&call);
        assert_eq!((hangs(0.0), hangs(0.5), hangs(1.0)), (None, None, Some(Fault::Hang)));
    }

    #[test]
    fn the_seeded_fraction_fails_in_every_way_but_no_read_conflicts() {
        let call = |operation: &str| Call { index: 0, service: Service::DynamoDb, operation: operation.to_owned() };
        let of = |operation: &str, seed| {
            let mut plan = random(0.1, seed);
            (0..10_000).filter_map(|_| plan(&call(operation))).collect::<Vec<Fault>>()
        };
        let writes = of("PutItem", 7);
        assert!((800..1_200).contains(&writes.len()), "{}", writes.len());
        let kinds: std::collections::BTreeSet<&str> = writes.iter().map(|fault| fault.as_str()).collect();
        assert_eq!(kinds.len(), 6, "{kinds:?}");
        assert!(!of("GetItem", 7).contains(&Fault::Conflict));
        let transactions = of("TransactWriteItems", 7);
        let halves = transactions.iter().filter(|fault| matches!(fault, Fault::ShowHalf(_))).count();
        assert!((250..420).contains(&halves), "{halves}");
        assert!(!writes.iter().any(|fault| matches!(fault, Fault::ShowHalf(_))));
        assert_eq!(of("PutItem", 7), writes);
        assert_ne!(of("PutItem", 8), writes);
    }
}
