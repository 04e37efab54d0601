//! The progress of a long command, and the message when Ctrl-C stops it.
//!
//! On a terminal it is a bar. In a log or a pipe it is a line on standard error from time to time, because a command without output for
//! minutes looks as if it hangs.

use std::io::Write;
use std::ops::Deref;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use indicatif::{HumanCount, ProgressBar};
use rebound::message::text::one_line;

/// Time until the first line. Shorter work has none.
const FIRST_LINE: Duration = Duration::from_secs(5);

/// Maximum time between two lines.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// The exit code after Ctrl-C, as in shells: 128 plus the signal's number.
const INTERRUPTED: i32 = 130;

/// The progress of work: a bar, or, if the bar is hidden, lines. Both end when this is dropped.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    _lines: Option<Sender<()>>,
}

impl Progress {
    /// The progress of this bar, printed as lines if the bar is hidden.
    pub(crate) fn new(bar: ProgressBar) -> Self {
        let lines = bar.is_hidden().then(|| {
            // A closed standard error must not end the work.
            let say = |line: String| _ = writeln!(std::io::stderr(), "{}", one_line(&line));
            say_lines(bar.clone(), FIRST_LINE, say)
        });
        Self { bar, _lines: lines }
    }
}

impl Deref for Progress {
    type Target = ProgressBar;

    fn deref(&self) -> &ProgressBar {
        &self.bar
    }
}

/// Prints a line after a first pause, and then after pauses that double each time. Ends when the returned sender is dropped.
fn say_lines(bar: ProgressBar, first: Duration, say: impl Fn(String) + Send + 'static) -> Sender<()> {
    let (sender, ended): (Sender<()>, Receiver<()>) = channel();
    thread::spawn(move || {
        let mut pause = first;
        while ended.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) && !bar.is_finished() {
            say(line(&bar));
            pause = (pause * 2).min(MAX_PAUSE);
        }
    });
    sender
}

/// The progress as a line.
fn line(bar: &ProgressBar) -> String {
    let (what, at, seconds) = (bar.message(), bar.position(), bar.elapsed().as_secs());
    let rate = at as f64 / bar.elapsed().as_secs_f64().max(0.001);
    match bar.length() {
        Some(of) if of > 0 => {
            let left = of.saturating_sub(at) as f64 / rate.max(0.001);
            let left = if at > 0 { format!(", {rate:.0} a second, {left:.0} s left") } else { String::new() };
            format!("{what}: {} of {} after {seconds} s{left}", HumanCount(at), HumanCount(of))
        }
        _ if at > 0 => format!("{what}: {} after {seconds} s, {rate:.0} a second", HumanCount(at)),
        _ => format!("{what}: still running after {seconds} s"),
    }
}

type Stays = Box<dyn Fn() -> String + Send>;

/// The message after Ctrl-C, from the current step.
static STAYS: Mutex<Option<Stays>> = Mutex::new(None);

/// Sets the message with which Ctrl-C ends the command: the changes that remain. A later call replaces it.
pub fn on_ctrl_c(stays: impl Fn() -> String + Send + 'static) {
    let known = || STAYS.lock().unwrap_or_else(PoisonError::into_inner);
    let is_first = known().replace(Box::new(stays)).is_none();
    if !is_first {
        return;
    }
    // In a separate task, so that Ctrl-C also ends a command that waits for a file or a pipe.
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            let stays = known().as_ref().map(|stays| stays()).unwrap_or_default();
            let _ = writeln!(std::io::stderr(), "\nStopped. {}", one_line(&stays));
            std::process::exit(INTERRUPTED);
        }
    });
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn hidden_work_prints_lines_until_it_ends() {
        let bar = ProgressBar::hidden();
        bar.set_length(2_000);
        bar.set_message("requests");
        let said = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::clone(&said);
        let saying = say_lines(bar.clone(), Duration::from_millis(20), move |line| lines.lock().unwrap().push(line));
        bar.inc(1_200);
        thread::sleep(Duration::from_millis(400));
        drop(saying);
        thread::sleep(Duration::from_millis(50));
        let number = said.lock().unwrap().len();
        assert!((2..=5).contains(&number), "after 20, 60, 140, 300 ms, and not more often: {number}");
        assert!(said.lock().unwrap()[0].starts_with("requests: 1,200 of 2,000 after 0 s"), "{said:?}");
        thread::sleep(Duration::from_millis(400));
        assert_eq!(said.lock().unwrap().len(), number, "nothing after its end");
    }

    #[test]
    fn a_line_says_what_is_known() {
        let bar = ProgressBar::hidden();
        bar.set_message("waiting");
        assert_eq!(line(&bar), "waiting: still running after 0 s");
        bar.inc(3);
        assert!(line(&bar).starts_with("waiting: 3 after 0 s"), "{}", line(&bar));
    }
}
