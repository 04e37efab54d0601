//! Lists of addresses as people have them, read line by line in constant memory: bare addresses, a CSV, JSON lines.
//!
//! - [`shape`]: how a list is written, and in which column the addresses are.
//! - [`mod@address`]: the address in a cell.
//! - [`mod@cells`]: the cells of a line.
//! - [`mod@file`]: files that are no lists.
//!
//! Every line is accounted for: it names one address, or it is refused with its number, or it says nothing (it is empty, a comment, or
//! it names the columns). So nobody of whom a list says something is passed over in silence.
//!
//! A cell in quotes may go on in the next lines. A quote that is never closed must not swallow the entries after it: where such a cell
//! does not end, or a line of it looks like an entry, the line that opens it is refused, and the next ones are read on their own.

pub mod address;
pub mod cells;
pub mod file;
mod lines;
pub mod shape;

use rebound::policy::count::count;
use std::io::{BufRead, BufReader, Chain, Cursor, Read};

use rebound::resend::recipient::Recipient;
use serde_json::{Map, Value};

use self::address::recipient;
use self::cells::{Broken, cells, unguarded};
use self::file::{HEAD, ListError};
use self::lines::{Lines, MAX_LINE, TextLine};
use self::shape::{Shape, column_of, decide, looks_like_an_entry};

/// How many lines tell how a list is written.
const FIRST_LINES: usize = 20;

/// How many lines a cell may go over.
const MOST_LINES: usize = 30;

const BAD_QUOTE: &str = "a quote in it is opened and not closed, or closed in the middle of a cell";

const UNCLEAR: &str = "is it a comment, or an address that begins with #? For a comment write a space after the #";

/// An entry of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Whom it is about.
    pub recipient: Recipient,
    /// The address as it is written.
    pub written: String,
    cells: Vec<(String, String)>,
}

impl Row {
    /// The text in the column of this name, which is in small letters; `None` where there is no such column, or nothing in it.
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, cell) = self.cells.iter().find(|(known, _)| known == name)?;
        Some(cell.as_str()).filter(|cell| !cell.is_empty())
    }
}

/// A line that is refused, and why.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Unreadable {
    /// Its number, from 1.
    pub line: u64,
    /// Why.
    pub why: String,
}

/// What a line of a list comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// It names an address.
    Entry {
        /// Its number, from 1: of several lines, that of the first.
        number: u64,
        /// What it says.
        row: Row,
    },
    /// It is refused.
    Refused(Unreadable),
}

/// How many lines a list has had so far, and what they came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineCounts {
    /// All of them.
    pub lines: u64,
    /// Those of entries. An entry may have several.
    pub read: u64,
    /// Those that were refused.
    pub refused: u64,
    /// Those that say nothing: empty ones, comments, and the names of the columns.
    pub empty: u64,
}

/// Reads a list, line by line.
#[derive(Debug)]
pub struct ListReader<R> {
    lines: Lines<BufReader<Chain<Cursor<Vec<u8>>, R>>>,
    shape: Shape,
    /// The number of the line that names the columns.
    header: Option<u64>,
    counts: LineCounts,
}

impl<R: Read> ListReader<R> {
    /// Looks at the beginning of a file, and decides how it is written.
    ///
    /// # Errors
    /// It can't be read, or is no list.
    pub fn new(mut from: R) -> Result<Self, ListError> {
        let mut head = Vec::new();
        from.by_ref().take(HEAD as u64).read_to_end(&mut head)?;
        file::refuse(&head)?;
        let mut lines = Lines::new(BufReader::new(Cursor::new(head).chain(from)));
        let mut first = Vec::new();
        while first.len() < FIRST_LINES {
            let Some(line) = lines.next()? else { break };
            first.push(line);
        }
        let says_something = |line: &&TextLine| line.readable().is_some_and(|text| Empty::of(text).is_none());
        let telling: Vec<&TextLine> = first.iter().filter(says_something).collect();
        let texts: Vec<&str> = telling.iter().filter_map(|line| line.readable()).collect();
        let (shape, header) = decide(&texts)?;
        let header = header.and_then(|place| telling.get(place)).map(|line| line.number);
        lines.push_back(first);
        Ok(Self { lines, shape, header, counts: LineCounts::default() })
    }

    /// How it is written.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// What its lines came to so far.
    pub fn counts(&self) -> LineCounts {
        self.counts
    }

    /// The next line that says something.
    fn read_next(&mut self) -> Result<Option<Line>, ListError> {
        loop {
            let Some(line) = self.lines.next()? else { return Ok(None) };
            let number = line.number;
            let (lines, row) = match line.text {
                Err(why) => (1, Some(Err(why.to_owned()))),
                Ok(_) if self.header == Some(number) => (1, None),
                Ok(text) => self.row(text)?,
            };
            self.counts.lines += lines;
            match row {
                None => self.counts.empty += lines,
                Some(Ok(row)) => {
                    self.counts.read += lines;
                    return Ok(Some(Line::Entry { number, row }));
                }
                Some(Err(why)) => {
                    self.counts.refused += lines;
                    return Ok(Some(Line::Refused(Unreadable { line: number, why })));
                }
            }
        }
    }

    /// What a line comes to, and how many lines that takes.
    fn row(&mut self, text: String) -> Result<(u64, Option<Result<Row, String>>), ListError> {
        match Empty::of(&text) {
            Some(Empty::Nothing) => return Ok((1, None)),
            Some(Empty::Unclear) => return Ok((1, Some(Err(UNCLEAR.to_owned())))),
            None => {}
        }
        let (separator, column, names) = match &self.shape {
            Shape::Bare => {
                let written = text.trim().to_owned();
                let row = recipient(&text).map(|recipient| Row { recipient, written, cells: Vec::new() });
                return Ok((1, Some(row)));
            }
            Shape::JsonLines => return Ok((1, Some(of_json(&text)))),
            Shape::Table { separator, column, names } => (*separator, *column, names),
        };
        Ok(match self.lines.cells_from(text, separator)? {
            None => (1, Some(Err(BAD_QUOTE.to_owned()))),
            Some((cells, lines)) if cells.iter().all(String::is_empty) => (lines, None),
            Some((cells, lines)) => (lines, Some(of_cells(cells, column, names))),
        })
    }
}

impl<R: Read> Iterator for ListReader<R> {
    type Item = Result<Line, ListError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read_next().transpose()
    }
}

/// Why a line is no entry.
enum Empty {
    /// There is nothing in it, or it is a comment.
    Nothing,
    /// It could be a comment, or an address.
    Unclear,
}

impl Empty {
    fn of(text: &str) -> Option<Self> {
        let text = text.trim();
        let comment = text.strip_prefix('#');
        match comment {
            _ if text.is_empty() => Some(Self::Nothing),
            Some(comment) if !comment.contains(char::is_whitespace) && comment.contains('@') => Some(Self::Unclear),
            Some(_) => Some(Self::Nothing),
            None => None,
        }
    }
}

impl<R: BufRead> Lines<R> {
    /// The cells of a line that was read, and of those that its last cell goes on in; and how many lines these are. `None`: its quotes
    /// are not as they must be, and the lines after it are still to be read.
    fn cells_from(&mut self, line: String, separator: char) -> Result<Option<(Vec<String>, u64)>, ListError> {
        let (mut text, mut more) = (line, Vec::new());
        loop {
            match cells(&text, separator) {
                Ok(cells) => return Ok(Some((cells, more.len() as u64 + 1))),
                Err(Broken::Open) if more.len() < MOST_LINES && text.len() < MAX_LINE => {}
                Err(_) => break,
            }
            let Some(next) = self.next()? else { break };
            let rest = next.readable().filter(|rest| !looks_like_an_entry(rest, separator)).map(str::to_owned);
            more.push(next);
            let Some(rest) = rest else { break };
            text.push('\n');
            text.push_str(&rest);
        }
        self.push_back(more);
        Ok(None)
    }
}

fn of_cells(cells: Vec<String>, column: usize, names: &[String]) -> Result<Row, String> {
    let surplus = cells.iter().skip(names.len()).filter(|cell| !cell.is_empty()).count();
    if !names.is_empty() && surplus > 0 {
        return Err(format!(
            "it has {}, and there are names for {}: is a comma not quoted?",
            count(cells.len(), "cell"),
            names.len()
        ));
    }
    let cell = cells.get(column).map_or("", String::as_str);
    let recipient = recipient(cell).map_err(|why| match names.get(column) {
        Some(name) => format!("in the column {name:?}: {why}"),
        None => format!("in column {}: {why}", column + 1),
    })?;
    let names = names.iter().map(|name| name.trim().to_lowercase());
    let written = cell.to_owned();
    let cells = cells.iter().map(|cell| unguarded(cell).to_owned());
    Ok(Row { recipient, written, cells: names.zip(cells).collect() })
}

fn of_json(text: &str) -> Result<Row, String> {
    let fields: Map<String, Value> =
        serde_json::from_str(text).map_err(|error| format!("it is no JSON object: {error}"))?;
    let (names, values): (Vec<String>, Vec<Value>) = fields.into_iter().unzip();
    let column = column_of(&names).ok_or("no field of it is named `recipient`, `email` or `address`")?;
    let values = values.into_iter().map(|value| match value {
        Value::String(text) => text,
        Value::Null => String::new(),
        other => other.to_string(),
    });
    let cells: Vec<(String, String)> = names.into_iter().map(|name| name.to_lowercase()).zip(values).collect();
    let written = cells.get(column).map_or("", |(_, cell)| cell);
    // As `export` writes it: nothing is around it.
    let as_it_is = Recipient::parse(written).filter(|recipient| recipient.as_str() == written);
    let recipient = as_it_is.map_or_else(|| recipient(written), Ok)?;
    Ok(Row { recipient, written: written.to_owned(), cells })
}
