//! How commands show things: tables, colours on a terminal only, progress on standard error.

use std::io::{IsTerminal, Read};
use std::time::Duration;

use comfy_table::{Cell, Color, ContentArrangement, Row, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use rebound::time::UnixMillis;

use crate::Failure;

/// How wide a table may be where the terminal does not say.
const WIDE: u16 = 130;

/// Whether standard output is a terminal that wants colours (<https://no-color.org>).
pub(crate) fn is_coloured() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A table: its columns, and its rows.
pub(crate) fn table(header: &[&str], rows: impl IntoIterator<Item = impl Into<Row>>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_header(header);
    table.set_content_arrangement(ContentArrangement::Dynamic).add_rows(rows);
    if !std::io::stdout().is_terminal() {
        table.set_width(WIDE);
    }
    if !is_coloured() {
        table.force_no_tty();
    }
    table
}

/// A cell in green or red.
pub(crate) fn verdict(text: impl ToString, good: bool) -> Cell {
    Cell::new(text).fg(if good { Color::Green } else { Color::Red })
}

/// Progress of a known number of things, on standard error; nothing where that is no terminal.
pub(crate) fn progress(of: u64, what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {bar:40} {human_pos} of {human_len}, {per_sec}, {eta} left");
    ProgressBar::new(of).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())).with_message(what)
}

/// Progress of an unknown number of things.
pub(crate) fn counting(what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {msg}: {human_pos}, {per_sec}");
    let bar = ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar.with_message(what)
}

/// What to do about a failure of AWS's, which says only what went wrong.
pub(crate) fn hint(error: &str) -> Option<&'static str> {
    let hints = [
        (
            "dispatch failure",
            "AWS can't be reached: check the network and --region; with --local, whether `rebound dev` is still running",
        ),
        (
            "ResourceNotFoundException",
            "is it another stack, or another region? Name it with --stack and --region; `rebound doctor` looks further",
        ),
        (
            "AccessDenied",
            "these credentials may not do that: name others with --profile; --help says which permissions the command needs",
        ),
        ("ExpiredToken", "the credentials have run out: log in again"),
        ("UnrecognizedClient", "AWS does not know these credentials: log in again, or name a profile with --profile"),
        ("InvalidSignature", "AWS does not accept these credentials: is the secret key right, and the clock?"),
    ];
    hints.into_iter().find(|(sign, _)| error.contains(sign)).map(|(_, hint)| hint)
}

/// What is being done, where nothing can be counted.
pub(crate) fn steps() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {msg}");
    let bar = ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// A text from outside as it may be shown: without control characters, which could steer the terminal.
pub(crate) fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

/// A moment as people read it, in UTC: `2026-11-23 13:05:00`.
pub(crate) fn moment(at: UnixMillis) -> String {
    at.to_text().replace('T', " ").chars().take("2026-11-23 13:05:00".len()).collect()
}

/// A text read from a file, or, if it is called `-`, from standard input.
pub(crate) fn read(file: &str) -> Result<String, Failure> {
    let mut text = String::new();
    let read = match file {
        "-" => std::io::stdin().read_to_string(&mut text).map(|_| text),
        file => std::fs::read_to_string(file),
    };
    Ok(read.map_err(|error| format!("{file}: {error}; name a file, or - for standard input"))?)
}
