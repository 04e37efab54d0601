//! Watches the process, and kills it.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::memory::{self, Phase, Sample};
use crate::service::ServiceProcess;
use crate::{Arguments, BoxError, WatcherMessage};

/// Interval of memory samples.
const BETWEEN_SAMPLES: Duration = Duration::from_secs(2);

/// Interval of progress lines without a terminal.
const BETWEEN_LINES: Duration = Duration::from_secs(30);

const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The observations.
#[derive(Debug, Default)]
pub(crate) struct Observations {
    pub(crate) samples: Vec<Sample>,
    /// Number of responses before each kill.
    pub(crate) kills: Vec<usize>,
    /// Number of ends without a kill.
    pub(crate) own_deaths: usize,
    /// Durations of the starts.
    pub(crate) starts: Vec<Duration>,
    /// Number of the functions' DynamoDB calls, as counted before each kill.
    pub(crate) calls: u64,
    pub(crate) injected: BTreeMap<String, u64>,
}

pub(crate) struct ServiceWatch<'a> {
    began: Instant,
    kill_every: f64,
    kills_until: usize,
    requests: usize,
    dice: fastrand::Rng,
    watched: &'a WatcherMessage,
    bar: Option<ProgressBar>,
}

impl<'a> ServiceWatch<'a> {
    pub(crate) fn new(arguments: &Arguments, requests: usize, watched: &'a WatcherMessage) -> Self {
        let style =
            ProgressStyle::with_template("{bar:40} {human_pos} of {human_len} requests, {per_sec}, {eta} left; {msg}");
        let style = rebound_dev::output::per_second(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        let bar = std::io::stderr().is_terminal().then(|| ProgressBar::new(requests as u64).with_style(style));
        Self {
            began: Instant::now(),
            kill_every: arguments.kill_every,
            kills_until: (requests as f64 * (1.0 - arguments.calm)) as usize,
            requests,
            dice: fastrand::Rng::with_seed(arguments.seed),
            watched,
            bar,
        }
    }

    /// Watches until the run is over.
    pub(crate) async fn run(mut self, service: &mut ServiceProcess) -> Result<Observations, BoxError> {
        let mut recorded = Observations::default();
        let mut next_kill = self.next_kill();
        let (mut next_sample, mut next_line) = (Instant::now(), Instant::now() + BETWEEN_LINES);
        loop {
            tokio::time::sleep(LOOK_AGAIN).await;
            let phase = Phase::of(self.watched.phase.load(Ordering::SeqCst));
            if phase == Phase::Over {
                break;
            }
            let answered = self.watched.answered.load(Ordering::SeqCst);
            if let Some(status) = service.has_died()? {
                eprintln!("`rebound dev` ended by itself, with {status}, after {answered} answers");
                recorded.own_deaths += 1;
                service.start().await?;
            }
            if next_kill.is_some_and(|due| Instant::now() >= due) && answered < self.kills_until {
                service.kill().await?;
                recorded.kills.push(answered);
                service.start().await?;
                next_kill = self.next_kill();
            }
            if Instant::now() >= next_sample {
                next_sample = Instant::now() + BETWEEN_SAMPLES;
                recorded.samples.extend(self.sample(service, answered, phase));
                self.show(answered, &recorded, None);
            }
            if Instant::now() >= next_line {
                next_line = Instant::now() + BETWEEN_LINES;
                service.ask_for_faults().await;
                let faults = service.faults().1.values().sum();
                self.show(answered, &recorded, Some(faults));
            }
        }
        service.ask_for_faults().await;
        (recorded.calls, recorded.injected) = service.faults();
        recorded.starts.clone_from(&service.starts);
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        Ok(recorded)
    }

    /// Returns a random time up to twice the average, possibly soon after a start, while the remaining events are
    /// redelivered.
    fn next_kill(&mut self) -> Option<Instant> {
        let after = self.dice.f64() * 2.0 * self.kill_every;
        (self.kill_every > 0.0).then(|| Instant::now() + Duration::from_secs_f64(after))
    }

    fn sample(&self, service: &ServiceProcess, answered: usize, phase: Phase) -> Option<Sample> {
        Some(Sample {
            seconds: self.began.elapsed().as_secs_f64(),
            answered,
            phase,
            life: service.lives,
            age: service.born.elapsed().as_secs_f64(),
            dev: memory::of(service.pid()?)?,
            own: memory::of(std::process::id())?.resident,
        })
    }

    /// Shows the progress: on a terminal always, elsewhere with the number of faults.
    fn show(&self, answered: usize, recorded: &Observations, faults: Option<u64>) {
        let said = self.watched.said.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let resident = recorded.samples.last().map_or(0, |sample| sample.dev.resident) / 1_024;
        let kills = recorded.kills.len();
        match (&self.bar, faults) {
            (Some(bar), _) => {
                bar.set_position(answered as u64);
                bar.set_message(format!("{kills} kills, {resident} MiB {said}"));
            }
            (None, Some(faults)) => {
                let (seconds, of) = (self.began.elapsed().as_secs_f64(), self.requests);
                let rate = answered as f64 / seconds.max(0.001);
                eprintln!(
                    "{seconds:6.0} s: {answered} of {of} requests, {rate:.0} a second; {kills} kills, {faults} faults, {resident} MiB {said}"
                );
            }
            (None, None) => {}
        }
    }
}
