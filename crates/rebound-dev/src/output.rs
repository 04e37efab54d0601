//! How commands show things: tables, colours on a terminal only, progress on standard error.
//!
//! Everything that a command prints goes out here, and nothing of it can steer a terminal: see [`rebound::message::text`]. So that
//! nobody has to remember that, `println!`, `print!` and `eprintln!` are this module's own in the whole program.

use std::fmt::{self, Display};
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use comfy_table::{Color, ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use rebound::message::text::{escaped, one_line};
use rebound::time::UnixMillis;

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

/// How wide a table may be where the terminal does not say.
const WIDE: u16 = 130;

/// Whether standard output is a terminal that wants colours (<https://no-color.org>).
pub fn is_coloured() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A cell of a table.
pub struct Cell {
    text: String,
    colour: Option<Color>,
}

impl Cell {
    /// A cell with this text. Its line breaks are the command's own: a text from outside is [`shown`] first.
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

impl From<Cell> for comfy_table::Cell {
    fn from(cell: Cell) -> Self {
        let shown = Self::new(cell.text);
        cell.colour.map_or_else(|| shown.clone(), |colour| shown.clone().fg(colour))
    }
}

/// Prints a table: its columns, and its rows.
pub fn table<R: IntoIterator<Item = C>, C: Into<Cell>>(header: &[&str], rows: impl IntoIterator<Item = R>) {
    let width = (!io::stdout().is_terminal()).then_some(WIDE);
    table_of_width(width, header, rows);
}

/// Prints a table that is so many characters wide; without a number, as wide as the terminal.
pub fn table_of_width<R: IntoIterator<Item = C>, C: Into<Cell>>(
    width: Option<u16>,
    header: &[&str],
    rows: impl IntoIterator<Item = R>,
) {
    let cells = |row: R| row.into_iter().map(|cell| comfy_table::Cell::from(cell.into())).collect::<Vec<_>>();
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_header(header);
    table.set_content_arrangement(ContentArrangement::Dynamic).add_rows(rows.into_iter().map(cells));
    if let Some(width) = width {
        table.set_width(width);
    }
    if !is_coloured() {
        table.force_no_tty();
    }
    write_as_it_is(io::stdout(), &format!("{table}\n"));
}

/// A cell in green or red.
pub fn verdict(text: impl Display, good: bool) -> Cell {
    Cell::new(text).fg(if good { Color::Green } else { Color::Red })
}

/// Progress of a known number of things, on standard error.
pub fn progress(of: u64, what: &'static str) -> Progress {
    let style = ProgressStyle::with_template("{msg} {bar:40} {human_pos} of {human_len}, {per_sec}, {eta} left");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    Progress::new(ProgressBar::new(of).with_style(style).with_message(what))
}

/// Progress of an unknown number of things.
pub fn counting(what: &'static str) -> Progress {
    let style = ProgressStyle::with_template("{spinner} {msg}: {human_pos}, {per_sec}");
    let bar = ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.enable_steady_tick(Duration::from_millis(200));
    Progress::new(bar.with_message(what))
}

/// Says why a command failed, and, where the error itself does not say it, what to do.
pub fn failed(program: &str, error: &str, hint: Option<&str>) -> std::process::ExitCode {
    eprintln!("{program}: {}", shown(error));
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
pub fn shown(text: &str) -> String {
    one_line(text)
}

/// A moment as people read it, in UTC: `2026-11-23 13:05:00`.
pub fn moment(at: UnixMillis) -> String {
    at.to_text().replace('T', " ").chars().take("2026-11-23 13:05:00".len()).collect()
}
