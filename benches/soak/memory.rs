//! Memory over time, and its growth.

/// Phase of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Sending,
    Verifying,
    Over,
}

impl Phase {
    pub(crate) fn of(number: u8) -> Self {
        [Self::Sending, Self::Verifying].into_iter().find(|phase| *phase as u8 == number).unwrap_or(Self::Over)
    }
}

/// A process's memory, in KiB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProcessMemory {
    /// Resident memory.
    pub(crate) resident: u64,
    /// The part of it that belongs to no file: heap and stacks.
    pub(crate) anonymous: u64,
}

/// Memory at one time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) seconds: f64,
    pub(crate) answered: usize,
    pub(crate) phase: Phase,
    /// Number of the process, from 1.
    pub(crate) life: u64,
    /// Age of the process, in seconds.
    pub(crate) age: f64,
    pub(crate) dev: ProcessMemory,
    pub(crate) own: u64,
}

/// Reads a process's memory, if the system provides it.
pub(crate) fn of(pid: u32) -> Option<ProcessMemory> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    Some(ProcessMemory { resident: field("VmRSS:")?, anonymous: field("RssAnon:")? })
}

/// Growth of the memory while one process lives and webhooks arrive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flatness {
    /// Duration in seconds.
    pub(crate) seconds: f64,
    /// Number of responses.
    pub(crate) answers: usize,
    /// Medians of the quarters, in KiB.
    pub(crate) quarters: [f64; 4],
    /// Growth in KiB per thousand responses, by least squares over the last three quarters.
    pub(crate) slope: f64,
}

impl Flatness {
    /// Computes the growth of the last process, which was not killed.
    pub(crate) fn of(samples: &[Sample]) -> Option<Self> {
        let last = samples.last()?.life;
        let samples: Vec<&Sample> =
            samples.iter().filter(|sample| sample.life == last && sample.phase == Phase::Sending).collect();
        let (first, end) = (samples.first()?, samples.last()?);
        let quarter = samples.len().div_ceil(4);
        let mut quarters =
            samples.chunks(quarter.max(1)).map(|some| median(some.iter().map(|sample| sample.dev.resident)));
        let quarters = [quarters.next()?, quarters.next()?, quarters.next()?, quarters.next()?];
        Some(Self {
            seconds: end.seconds - first.seconds,
            answers: end.answered - first.answered,
            quarters,
            slope: slope(samples.get(quarter..)?),
        })
    }

    /// Median of the last quarter divided by that of the second: 1 is flat.
    pub(crate) fn ratio(&self) -> f64 {
        let [_, second, _, last] = self.quarters;
        last / second.max(1.0)
    }
}

pub(crate) fn median(values: impl Iterator<Item = u64>) -> f64 {
    let mut sorted: Vec<u64> = values.collect();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).map_or(0.0, |median| *median as f64)
}

/// Growth in KiB per thousand responses.
fn slope(samples: &[&Sample]) -> f64 {
    let count = samples.len().max(1) as f64;
    let points = || samples.iter().map(|sample| (sample.answered as f64 / 1_000.0, sample.dev.resident as f64));
    let mean = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / count;
    let (mean_x, mean_y) = (mean(&mut points().map(|point| point.0)), mean(&mut points().map(|point| point.1)));
    let (mut above, mut below) = (0.0, 0.0);
    for (x, y) in points() {
        above += (x - mean_x) * (y - mean_y);
        below += (x - mean_x) * (x - mean_x);
    }
    if below > 0.0 { above / below } else { 0.0 }
}

const COLUMNS: usize = 72;
const ROWS: usize = 8;

/// Plots memory against time as text lines, with the kills below.
pub(crate) fn plot(samples: &[Sample]) -> Vec<String> {
    let most = samples.iter().map(|sample| sample.dev.resident).max().unwrap_or(0).max(1);
    let end = samples.last().map_or(1.0, |sample| sample.seconds).max(1.0);
    let column = |sample: &Sample| ((sample.seconds / end * COLUMNS as f64) as usize).min(COLUMNS - 1);
    let mut heights = [0_u64; COLUMNS];
    let mut lives = [(u64::MAX, 0_u64); COLUMNS];
    let mut sending = [false; COLUMNS];
    for sample in samples {
        let at = column(sample);
        if let (Some(height), Some(life), Some(sends)) = (heights.get_mut(at), lives.get_mut(at), sending.get_mut(at)) {
            *height = (*height).max(sample.dev.resident);
            *life = (life.0.min(sample.life), life.1.max(sample.life));
            *sends |= sample.phase == Phase::Sending;
        }
    }
    let blocks = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let mut lines: Vec<String> = (0..ROWS)
        .rev()
        .map(|row| {
            let bars = heights.iter().map(|height| {
                let eighths = (height * (ROWS * 8) as u64).div_ceil(most) as usize;
                blocks.get(eighths.saturating_sub(row * 8).min(8)).copied().unwrap_or(' ')
            });
            let scale = most as f64 / 1_024.0 * (row + 1) as f64 / ROWS as f64;
            format!("{scale:7.1} MiB │{}", bars.collect::<String>())
        })
        .collect();
    let mut before = 1;
    let kills = lives.iter().zip(sending).map(|((_, last), sends)| {
        let killed = last.saturating_sub(before);
        before = before.max(*last);
        match killed {
            0 if sends => '─',
            0 => '·',
            1..=9 => char::from(b'0' + killed as u8),
            _ => '+',
        }
    });
    lines.push(format!("      kills │{}", kills.collect::<String>()));
    lines.push(format!("            │0 s{:>width$.0} s", end, width = COLUMNS - 5));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One process per life, with memory by sample number.
    fn samples(lives: &[usize], resident: impl Fn(usize) -> u64) -> Vec<Sample> {
        let lives = lives.iter().zip(1..).flat_map(|(count, life)| (0..*count).map(move |number| (life, number)));
        let sample = |(index, (life, number)): (usize, (u64, usize))| Sample {
            seconds: index as f64 * 2.0,
            answered: index * 500,
            phase: Phase::Sending,
            life,
            age: number as f64 * 2.0,
            dev: ProcessMemory { resident: resident(number), anonymous: 0 },
            own: 0,
        };
        lives.enumerate().map(sample).collect()
    }

    #[test]
    fn what_stays_is_flat_and_what_grows_in_the_last_life_is_not() {
        let flat = Flatness::of(&samples(&[30, 100], |number| 50_000 + (number as u64 % 3))).unwrap();
        assert!((flat.ratio() - 1.0).abs() < 0.001 && flat.slope.abs() < 0.1, "{flat:?}");
        assert_eq!((flat.seconds, flat.answers), (198.0, 49_500), "the first life does not count");
        let grows = Flatness::of(&samples(&[30, 100], |number| 50_000 + 1_000 * number as u64)).unwrap();
        assert!(grows.ratio() > 1.5, "{grows:?}");
        assert!((grows.slope - 2_000.0).abs() < 1.0, "1000 KiB with each 500 answers: {grows:?}");
        assert!(Flatness::of(&samples(&[3], |_| 1)).is_none(), "too few to say");
    }

    #[test]
    fn the_plot_is_as_high_as_the_memory_and_shows_the_kills() {
        let lines = plot(&samples(&[36, 36], |number| 1_024 * number as u64));
        assert_eq!(lines.len(), ROWS + 2);
        let bars = |line: &str| line.split('│').nth(1).map(str::to_owned).unwrap();
        assert!(bars(&lines[0]).contains('█') && bars(&lines[0]).contains(' '), "{lines:#?}");
        assert_eq!(bars(&lines[ROWS]).matches('1').count(), 1, "{lines:#?}");
    }
}
