//! Time scale of a queue: real time, or faster.

use std::time::Duration;

/// Minimum of a shortened time that is not zero.
const LEAST: Duration = Duration::from_millis(20);

/// Default minimum of a visibility timeout. The functions take their normal time, and a message that becomes visible
/// while its invocation is in flight is delivered twice, as on AWS.
const LEAST_VISIBILITY: Duration = Duration::from_millis(500);

/// Factor by which the times of queues are shortened: the visibility timeouts, and the delays of messages. The wait
/// time of a receive is not changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// From 0 to 1.
    factor: f64,
    least_visibility: Duration,
}

impl Default for Pace {
    /// Real time.
    fn default() -> Self {
        Self { factor: 1.0, least_visibility: Duration::ZERO }
    }
}

impl Pace {
    /// Creates the scale at which the time `stack` in the stack takes `local` here. It is never slower than the stack.
    pub fn between(stack: Duration, local: Duration) -> Self {
        if local >= stack {
            return Self::default();
        }
        Self { factor: local.div_duration_f64(stack), least_visibility: LEAST_VISIBILITY }
    }

    /// Sets the minimum of a visibility timeout, instead of half a second.
    #[must_use]
    pub fn with_least_visibility(self, least_visibility: Duration) -> Self {
        Self { least_visibility, ..self }
    }

    /// Shortens a time of the queue. Zero stays zero.
    pub fn shortened(&self, time: Duration) -> Duration {
        self.at_least(LEAST, time)
    }

    /// Shortens the visibility timeout of a received message.
    pub fn visibility(&self, timeout: Duration) -> Duration {
        self.at_least(self.least_visibility.max(LEAST), timeout)
    }

    fn at_least(&self, least: Duration, time: Duration) -> Duration {
        time.mul_f64(self.factor).max(least).min(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTLES: Duration = Duration::from_secs(90);

    #[test]
    fn real_time_and_a_slower_scale_change_no_time() {
        for pace in [Pace::default(), Pace::between(SETTLES, SETTLES), Pace::between(SETTLES, SETTLES * 9)] {
            for time in [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(43_200)] {
                assert_eq!((pace.shortened(time), pace.visibility(time)), (time, time), "{pace:?}");
            }
        }
    }

    #[test]
    fn every_time_is_shortened_as_the_settling_is() {
        let pace = Pace::between(SETTLES, Duration::from_secs(2));
        for time in [pace.shortened(Duration::from_secs(360)), pace.visibility(Duration::from_secs(360))] {
            assert_eq!(time.as_millis(), 8_000);
        }
    }

    #[test]
    fn no_time_becomes_none_and_none_stays_none() {
        let pace = Pace::between(SETTLES, Duration::ZERO);
        let six_minutes = Duration::from_secs(360);
        assert_eq!((pace.shortened(six_minutes), pace.visibility(six_minutes)), (LEAST, LEAST_VISIBILITY));
        assert_eq!((pace.shortened(Duration::ZERO), pace.visibility(Duration::ZERO)), (Duration::ZERO, Duration::ZERO));
        let pace = pace.with_least_visibility(Duration::ZERO);
        assert_eq!(pace.visibility(six_minutes), LEAST);
    }
}
