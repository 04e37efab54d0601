//! Lists of addresses as people have them, read line by line in constant memory: bare addresses, a CSV, JSON lines.
//!
//! - [`shape`]: how a list is written, and in which column the addresses are.
//! - [`mod@address`]: the address in a cell.
//! - [`mod@cells`]: the cells of a line.
//! - [`encoding`]: the characters.
//! - [`time`]: the time in a cell.
//! - [`mod@file`]: files that are no lists.
//!
//! Every line is accounted for: it contains one address, or it is refused with its number, or it has no entry (it is empty, a comment, or
//! the header). So no address of a list is skipped silently.
//!
//! A cell in quotes may go on in the next lines. A quote that is never closed must not swallow the entries after it: where such a cell
//! does not end, or a line of it looks like an entry, the line that opens it is refused, and the next ones are read on their own.

pub mod address;
pub mod cells;
pub mod encoding;
pub mod file;
mod lines;
mod listed_address;
pub mod shape;
pub mod time;

use std::io::{BufRead, Cursor, Read};

use encoding_rs::Encoding;

use self::address::recipient;
use self::cells::{Broken, cells};
use self::file::{HEAD, ListError};
pub use self::lines::Guessed;
use self::lines::{Lines, MAX_LINE, TextLine};
pub use self::listed_address::ListedAddress;
use self::listed_address::{names_of_json, of_cells, of_json};
pub use self::shape::ListOptions;
use self::shape::{Shape, decide, looks_like_an_entry, plain};

/// Number of lines from which the format of a list is detected.
const FIRST_LINES: usize = 20;

/// Maximum number of lines of a cell.
const MAX_CELL_LINES: usize = 30;

const BAD_QUOTE: &str = "a quote in it is opened and not closed, or closed in the middle of a cell";

const UNCLEAR: &str = "is it a comment, or an address that begins with #? For a comment write a space after the #";

/// A remark on a line: the reason why it is refused, or an oddity.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Remark {
    /// Its number, from 1.
    pub line: u64,
    /// The remark.
    pub why: String,
}

/// A line of a list, as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListLine {
    /// It names an address.
    Entry {
        /// Its number, from 1: of several lines, that of the first.
        number: u64,
        /// The entry.
        row: ListedAddress,
    },
    /// It is refused.
    Refused(Remark),
}

/// Numbers of lines that were read so far, by result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineCounts {
    /// All of them.
    pub lines: u64,
    /// Those of entries. An entry may have several.
    pub read: u64,
    /// Those that were refused.
    pub refused: u64,
    /// Those without an entry: empty lines, comments, and the header.
    pub empty: u64,
}

/// Reads a list, line by line.
pub struct ListReader<'a> {
    lines: Lines<Box<dyn BufRead + 'a>>,
    asked: ListOptions,
    shape: Shape,
    encoding: Option<&'static Encoding>,
    /// The names of the columns: of a table, or of the first JSON object.
    columns: Vec<String>,
    /// The number of the line that names the columns.
    header: Option<u64>,
    counts: LineCounts,
}

impl<'a> ListReader<'a> {
    /// Reads the beginning of a file, and detects its format.
    ///
    /// # Errors
    /// The file can't be read, or is not a list.
    pub fn new(mut from: impl Read + 'a, asked: ListOptions) -> Result<Self, ListError> {
        let mut head = Vec::new();
        from.by_ref().take(HEAD as u64).read_to_end(&mut head)?;
        file::refuse(&head)?;
        let encoding = asked.encoding.or_else(|| encoding::of_head(&head));
        // Where UTF-8 is only what its mark says, a line that is none is read nevertheless.
        let decoded = encoding.filter(|encoding| *encoding != encoding_rs::UTF_8 || asked.encoding.is_some());
        let mut lines = Lines::new(encoding::utf8(Cursor::new(head).chain(from), decoded));
        let mut first = Vec::new();
        while first.len() < FIRST_LINES {
            let Some(line) = lines.next()? else { break };
            first.push(line);
        }
        let says_something = |line: &&TextLine| line.readable().is_some_and(|text| Empty::of(text).is_none());
        let telling: Vec<&TextLine> = first.iter().filter(says_something).collect();
        let texts: Vec<&str> = telling.iter().filter_map(|line| line.readable()).collect();
        let (shape, header) = decide(&texts, &asked)?;
        let columns = match (&shape, texts.first()) {
            (Shape::Table { names, .. }, _) => names.clone(),
            (Shape::JsonLines, Some(first)) => names_of_json(first),
            _ => Vec::new(),
        };
        let header = header.and_then(|place| telling.get(place)).map(|line| line.number);
        lines.push_back(first);
        Ok(Self { lines, asked, shape, encoding, columns, header, counts: LineCounts::default() })
    }

    /// The format as text: the separator, the encoding, and the column of addresses.
    pub fn form(&self) -> String {
        let encoding = match (self.encoding, self.lines.guessed().lines) {
            (Some(encoding), _) => encoding.name(),
            (None, 0) => "UTF-8",
            (None, _) => "Windows-1252",
        };
        self.shape.describe(encoding)
    }

    /// The names of its columns, without capitals, spaces, hyphens and underscores. Empty where nothing names them.
    pub fn columns(&self) -> Vec<String> {
        self.columns.iter().map(|name| plain(name)).collect()
    }

    /// The names of its columns as they are written. Empty where nothing names them.
    pub fn names(&self) -> &[String] {
        &self.columns
    }

    /// Returns true if it has cells.
    pub fn is_table(&self) -> bool {
        matches!(self.shape, Shape::Table { .. })
    }

    /// Returns true if it has cells, and no line names the columns.
    pub fn has_unnamed(&self) -> bool {
        matches!(&self.shape, Shape::Table { names, .. } if names.is_empty())
    }

    /// The lines that were not UTF-8, of all that were read so far.
    pub fn guessed(&self) -> Guessed {
        self.lines.guessed()
    }

    /// The numbers of lines that were read so far.
    pub fn counts(&self) -> LineCounts {
        self.counts
    }

    /// The next line that has an entry or is refused.
    fn read_next(&mut self) -> Result<Option<ListLine>, ListError> {
        loop {
            let Some(line) = self.lines.next()? else { return Ok(None) };
            let (number, is_guessed) = (line.number, line.is_guessed);
            let (lines, row) = match line.text {
                Err(why) => (1, Some(Err(why.to_owned()))),
                Ok(_) if self.header == Some(number) => (1, None),
                Ok(text) => self.row(text)?,
            };
            self.counts.lines += lines;
            match row {
                None => self.counts.empty += lines,
                Some(Ok(mut row)) => {
                    self.counts.read += lines;
                    if is_guessed && !row.written.is_ascii() {
                        row.odd = Some("it is not UTF-8, and was read as Windows-1252; --encoding names another");
                    }
                    return Ok(Some(ListLine::Entry { number, row }));
                }
                Some(Err(why)) => {
                    self.counts.refused += lines;
                    return Ok(Some(ListLine::Refused(Remark { line: number, why })));
                }
            }
        }
    }

    /// The entry that begins in a line, and the number of lines that it takes.
    fn row(&mut self, text: String) -> Result<(u64, Option<Result<ListedAddress, String>>), ListError> {
        match Empty::of(&text) {
            Some(Empty::Nothing) => return Ok((1, None)),
            Some(Empty::Unclear) => return Ok((1, Some(Err(UNCLEAR.to_owned())))),
            None => {}
        }
        let (separator, column, names) = match &self.shape {
            Shape::Bare => {
                let written = text.trim().to_owned();
                let row = recipient(&text).map(|recipient| ListedAddress::new(recipient, written, Vec::new()));
                return Ok((1, Some(row)));
            }
            Shape::JsonLines => return Ok((1, Some(of_json(&text, &self.asked)))),
            Shape::Table { separator, column, names } => (*separator, *column, names),
        };
        Ok(match self.lines.cells_from(text, separator)? {
            None => (1, Some(Err(BAD_QUOTE.to_owned()))),
            Some((cells, lines)) if cells.iter().all(|cell| cell.trim().is_empty()) => (lines, None),
            Some((cells, lines)) => (lines, Some(of_cells(cells, column, names))),
        })
    }
}

impl Iterator for ListReader<'_> {
    type Item = Result<ListLine, ListError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read_next().transpose()
    }
}

/// A line without an entry.
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
    /// The cells of a line and of the lines in which its last cell continues, and the number of these lines. Returns `None` if the quotes are
    /// wrong; then the lines after it are still to be read.
    fn cells_from(&mut self, line: String, separator: char) -> Result<Option<(Vec<String>, u64)>, ListError> {
        let (mut text, mut more) = (line, Vec::new());
        loop {
            match cells(&text, separator) {
                Ok(cells) => return Ok(Some((cells, more.len() as u64 + 1))),
                Err(Broken::Open) if more.len() < MAX_CELL_LINES && text.len() < MAX_LINE => {}
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
