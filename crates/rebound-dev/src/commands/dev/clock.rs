//! The clock of `rebound dev`. With a data file it never goes back: not to before a time that is stored there.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rebound::time::UnixMillis;
use tokio::task::JoinHandle;

use super::Arguments;
use crate::commands::CommandError;
use crate::runner::Clock;

/// Interval at which the file is written.
const INTERVAL: Duration = Duration::from_secs(1);

/// Real time by which the written time is ahead of the clock, so that no stored time is later, even after a crash.
const AHEAD: Duration = Duration::from_secs(3);

/// A file beside the tables with a time that the clock has not reached yet. A clock of real time needs none.
pub(super) struct ClockFile(JoinHandle<()>);

impl Drop for ClockFile {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The clock. With a data file, it starts at the real time or after the newest stored time, whichever is later.
pub(super) fn clock(arguments: &Arguments) -> Result<(Clock, Option<ClockFile>), CommandError> {
    let file = arguments.data.as_ref().map(|data| data.with_extension("clock"));
    let reached = file.as_deref().and_then(read).filter(|reached| *reached > UnixMillis::now());
    let clock = match reached {
        Some(reached) => Clock::starting_at(reached, arguments.clock),
        None => Clock::new(arguments.clock),
    };
    let Some(file) = file.filter(|_| !clock.is_real()) else { return Ok((clock, None)) };
    write(&file, &clock).map_err(|error| format!("{}: {error}", file.display()))?;
    let writing = tokio::spawn(async move {
        loop {
            tokio::time::sleep(INTERVAL).await;
            if let Err(error) = write(&file, &clock) {
                tracing::warn!(%error, "the time can't be written beside the tables");
            }
        }
    });
    Ok((clock, Some(ClockFile(writing))))
}

fn read(file: &Path) -> Option<UnixMillis> {
    Some(UnixMillis(std::fs::read_to_string(file).ok()?.trim().parse().ok()?))
}

fn write(file: &PathBuf, clock: &Clock) -> std::io::Result<()> {
    let new = file.with_extension("clock.new");
    std::fs::write(&new, clock.after(AHEAD).0.to_string())?;
    std::fs::rename(&new, file)
}
