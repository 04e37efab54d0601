//! Where long work is, and what stays of it when it is ended early.
//!
//! On a terminal there is a bar. Elsewhere, in a log or behind a pipe, there is a line on standard error, now and then: a command that
//! says nothing for minutes looks as if it hung.

use std::io::Write;
use std::ops::Deref;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use indicatif::{HumanCount, ProgressBar};

/// Time until the first line. What takes less needs none.
const FIRST_LINE: Duration = Duration::from_secs(5);

/// The longest time between two lines.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// The exit code of a program that Ctrl-C ends, as shells have it: 128 and the signal's number.
const INTERRUPTED: i32 = 130;

/// Where work is: its bar, and, where nobody sees that, its lines. They end when this is dropped.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    _lines: Option<Sender<()>>,
}

impl Progress {
    /// What this bar shows, in lines where the bar is hidden.
    pub(crate) fn new(bar: ProgressBar) -> Self {
        let lines = bar.is_hidden().then(|| {
            // Nothing may end the work because nobody reads how far it is.
            let say = |line: String| _ = writeln!(std::io::stderr(), "{}", crate::output::sanitize(&line));
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

/// Says lines until the sender that it returns is dropped, the first after a pause, and each pause twice as long.
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

/// Where it is, in a line.
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
        _ => format!("{what}: still at it after {seconds} s"),
    }
}

type Stays = Box<dyn Fn() -> String + Send>;

/// What stays, as the step that is being done says it.
static STAYS: Mutex<Option<Stays>> = Mutex::new(None);

/// Lets Ctrl-C end the command with a word about what stays. A later step may say something else.
pub fn on_ctrl_c(stays: impl Fn() -> String + Send + 'static) {
    let known = || STAYS.lock().unwrap_or_else(PoisonError::into_inner);
    let is_first = known().replace(Box::new(stays)).is_none();
    if !is_first {
        return;
    }
    // In a task of its own: a command that waits for a file or a pipe hears it too.
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            let stays = known().as_ref().map(|stays| stays()).unwrap_or_default();
            let _ = writeln!(std::io::stderr(), "\nStopped. {}", crate::output::sanitize(&stays));
            std::process::exit(INTERRUPTED);
        }
    });
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_line_now_and_then_says_where_hidden_work_is_and_the_last_is_before_its_end() {
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
        assert_eq!(line(&bar), "waiting: still at it after 0 s");
        bar.inc(3);
        assert!(line(&bar).starts_with("waiting: 3 after 0 s"), "{}", line(&bar));
    }
}
