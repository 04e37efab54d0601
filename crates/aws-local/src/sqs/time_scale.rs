//! Time scale of a queue: real time, or faster.

use std::time::Duration;

/// Minimum of a shortened time that is not zero.
const MIN_TIME: Duration = Duration::from_millis(20);

/// Default minimum of a visibility timeout. The functions take their normal time, and a message that becomes visible
/// while its invocation is in flight is delivered twice, as on AWS.
const MIN_VISIBILITY: Duration = Duration::from_millis(500);

/// Factor by which the times of queues are shortened: the visibility timeouts, and the delays of messages. The wait
/// time of a receive is not changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimeScale {
    /// From 0 to 1.
    factor: f64,
    min_visibility: Duration,
}

impl Default for TimeScale {
    /// Real time.
    fn default() -> Self {
        Self { factor: 1.0, min_visibility: Duration::ZERO }
    }
}

impl TimeScale {
    /// Creates the scale at which the time `stack` in the stack takes `local` here. It is never slower than the stack.
    pub fn between(stack: Duration, local: Duration) -> Self {
        if local >= stack {
            return Self::default();
        }
        Self { factor: local.div_duration_f64(stack), min_visibility: MIN_VISIBILITY }
    }

    /// Sets the minimum of a visibility timeout, instead of half a second.
    #[must_use]
    pub fn with_min_visibility(self, min_visibility: Duration) -> Self {
        Self { min_visibility, ..self }
    }

    /// Shortens a time of the queue. Zero stays zero.
    pub fn shortened(&self, time: Duration) -> Duration {
        self.at_least(MIN_TIME, time)
    }

    /// Shortens the visibility timeout of a received message.
    pub fn visibility(&self, timeout: Duration) -> Duration {
        self.at_least(self.min_visibility.max(MIN_TIME), timeout)
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
        for time_scale in
            [TimeScale::default(), TimeScale::between(SETTLES, SETTLES), TimeScale::between(SETTLES, SETTLES * 9)]
        {
            for time in [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(43_200)] {
                assert_eq!((time_scale.shortened(time), time_scale.visibility(time)), (time, time), "{time_scale:?}");
            }
        }
    }

    #[test]
    fn every_time_is_shortened_as_the_settling_is() {
        let time_scale = TimeScale::between(SETTLES, Duration::from_secs(2));
        for time in [time_scale.shortened(Duration::from_secs(360)), time_scale.visibility(Duration::from_secs(360))] {
            assert_eq!(time.as_millis(), 8_000);
        }
    }

    #[test]
    fn no_time_becomes_none_and_none_stays_none() {
        let time_scale = TimeScale::between(SETTLES, Duration::ZERO);
        let six_minutes = Duration::from_secs(360);
        assert_eq!((time_scale.shortened(six_minutes), time_scale.visibility(six_minutes)), (MIN_TIME, MIN_VISIBILITY));
        assert_eq!(
            (time_scale.shortened(Duration::ZERO), time_scale.visibility(Duration::ZERO)),
            (Duration::ZERO, Duration::ZERO)
        );
        let time_scale = time_scale.with_min_visibility(Duration::ZERO);
        assert_eq!(time_scale.visibility(six_minutes), MIN_TIME);
    }
}
