//! How commands show things: tables, colours on a terminal only, progress on standard error.
//!
//! Everything that a command prints goes out here, and nothing of it can steer a terminal: see [`rebound::message::text`]. So that
//! nobody has to remember that, `println!`, `print!` and `eprintln!` are this module's own in the whole program.

mod table;
mod words;

use std::fmt::{self, Display};
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{HumanCount, ProgressBar, ProgressState, ProgressStyle};
use rebound::message::text::{escaped, one_line};
use rebound::time::UnixMillis;

pub use rebound::policy::count::{count, count_were};

pub use self::table::{Color, Column, Table};
pub use self::words::wrap;

use crate::progress::Progress;

/// `print!`, with what could steer a terminal escaped.
#[macro_export]
macro_rules! print {
    ($($text:tt)*) => { $crate::output::write(std::io::stdout(), format_args!($($text)*)) };
}

/// `println!`, with what could steer a terminal escaped.
#[macro_export]
macro_rules! println {
    () => { $crate::print!("\n") };
    ($($text:tt)*) => { $crate::print!("{}\n", format_args!($($text)*)) };
}

/// `eprintln!`, with what could steer a terminal escaped.
#[macro_export]
macro_rules! eprintln {
    ($($text:tt)*) => { $crate::output::write(std::io::stderr(), format_args!("{}\n", format_args!($($text)*))) };
}

/// Writes a text, with what could steer a terminal escaped.
pub fn write(to: impl Write, text: fmt::Arguments<'_>) {
    let text = text.to_string();
    write_as_it_is(to, &escaped(&text));
}

/// Writes a text that holds escape sequences of our own, or that a program reads as it is.
pub fn write_as_it_is(mut to: impl Write, text: &str) {
    // Like a program that a signal ends: nobody is left to tell.
    if to.write_all(text.as_bytes()).and_then(|()| to.flush()).is_err() {
        std::process::exit(2);
    }
}

/// Width where there is no terminal, in characters: no table leaves anything out in a file or a pipe.
const WIDE: u16 = 140;

/// Width of the output, in characters: `COLUMNS`, where it is set and a number, else the terminal's; in a file or a pipe always the same.
pub fn width() -> usize {
    let set =
        std::env::var("COLUMNS").ok().and_then(|columns| columns.parse::<u16>().ok()).filter(|columns| *columns > 0);
    let terminal = || if io::stdout().is_terminal() { table::terminal_width() } else { None };
    usize::from(set.or_else(terminal).unwrap_or(WIDE))
}

/// Prints a paragraph, wrapped between words on a terminal; in a file or a pipe as the one line that it is.
pub fn paragraph(text: &str) {
    write(io::stdout(), format_args!("{}\n", lines(text, "").join("\n")));
}

/// Prints a line of what others get: a [`paragraph`], four characters to the right.
pub fn indented(text: &str) {
    write(io::stdout(), format_args!("{}\n", lines(text, "    ").join("\n")));
}

/// Prints a text after some first words; where it is wrapped, each line begins below its first. The first words are short.
pub fn hanging(first: &str, text: &str) {
    let indent = " ".repeat(words::width_of(first));
    let mut lines = lines(text, &indent);
    if let Some(line) = lines.first_mut() {
        *line = format!("{first}{}", line.trim_start());
    }
    write(io::stdout(), format_args!("{}\n", lines.join("\n")));
}

/// The lines of a paragraph, with something before each of them.
fn lines(text: &str, before: &str) -> Vec<String> {
    let is_wrapped = io::stdout().is_terminal() || std::env::var_os("COLUMNS").is_some();
    let lines = if is_wrapped { wrap(text, width().saturating_sub(before.len())) } else { vec![text.to_owned()] };
    lines.into_iter().map(|line| format!("{before}{line}").trim_end().to_owned()).collect()
}

/// Whether standard output is a terminal that wants colours (<https://no-color.org>).
pub fn is_coloured() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A cell of a table.
#[derive(Clone, Debug)]
pub struct Cell {
    text: String,
    colour: Option<Color>,
}

impl Cell {
    /// A cell with this text. Its line breaks are the command's own: a text from outside is [`sanitize`] first.
    pub fn new(text: impl Display) -> Self {
        Self { text: escaped(&text.to_string()).into_owned(), colour: None }
    }

    /// The same in a colour.
    pub fn fg(self, colour: Color) -> Self {
        Self { colour: Some(colour), ..self }
    }
}

impl<T: Display> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text)
    }
}

/// A cell in green or red.
pub fn verdict(text: impl Display, good: bool) -> Cell {
    Cell::new(text).fg(if good { Color::Green } else { Color::Red })
}

/// A style whose `{per_sec}` is a pace as people read it, and not one of four decimals.
pub fn per_second(style: ProgressStyle) -> ProgressStyle {
    style.with_key("per_sec", |state: &ProgressState, to: &mut dyn fmt::Write| {
        // To write to a bar never fails in a way that matters.
        let _ = to.write_str(&pace(state.per_sec()));
    })
}

/// A pace: whole things a second with commas, and where that would be few, one decimal.
fn pace(per_second: f64) -> String {
    match per_second {
        pace if !pace.is_finite() => "– a second".to_owned(),
        ..10.0 => format!("{per_second:.1} a second"),
        _ => format!("{} a second", HumanCount(per_second.round() as u64)),
    }
}

/// Progress of a known number of things, on standard error.
pub fn progress(of: u64, what: &'static str) -> Progress {
    let style = ProgressStyle::with_template("{msg} {bar:40} {human_pos} of {human_len}, {per_sec}, {eta} left");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    Progress::new(ProgressBar::new(of).with_style(per_second(style)).with_message(what))
}

/// Progress of an unknown number of things.
pub fn counting(what: &'static str) -> Progress {
    let style = ProgressStyle::with_template("{spinner} {msg}: {human_pos}, {per_sec}");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_spinner());
    let bar = ProgressBar::new_spinner().with_style(per_second(style));
    bar.enable_steady_tick(Duration::from_millis(200));
    Progress::new(bar.with_message(what))
}

/// Says why a command failed, and, where the error itself does not say it, what to do.
pub fn failed(program: &str, error: &str, hint: Option<&str>) -> std::process::ExitCode {
    eprintln!("{program}: {}", sanitize(error));
    if let Some(hint) = hint {
        eprintln!("  {hint}");
    }
    std::process::ExitCode::from(2)
}

/// What is being done, where nothing can be counted.
pub fn steps() -> Progress {
    let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})");
    let bar = ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.enable_steady_tick(Duration::from_millis(200));
    Progress::new(bar)
}

/// A text from outside as part of a line: without line breaks, and without what could steer the terminal.
pub fn sanitize(text: &str) -> String {
    one_line(text)
}

/// A moment as people read it, in UTC: `2026-11-23 13:05:00`.
pub fn moment(at: UnixMillis) -> String {
    at.to_text().replace('T', " ").chars().take("2026-11-23 13:05:00".len()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_has_no_decimals_that_nobody_reads() {
        assert_eq!(pace(18_901.538_2), "18,902 a second");
        assert_eq!(
            (pace(0.25), pace(9.96), pace(155.4)),
            ("0.2 a second".into(), "10.0 a second".into(), "155 a second".into())
        );
        assert_eq!(pace(f64::INFINITY), "– a second");
    }
}
