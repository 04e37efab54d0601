//! A list of addresses, from a file or from standard input.

use std::fs::File;
use std::io::Read;

use rebound::policy::suppression::Reason;
use rebound_cli::operate::lists::encoding::{self, Encoding};
use rebound_cli::operate::lists::file::ListError;
use rebound_cli::operate::lists::{LineCounts, ListLine, ListOptions, ListReader};
use rebound_cli::operate::suppressions::meaning::Meaning;
use rebound_dev::commands::CommandError;
use rebound_dev::output::sanitize;

/// Options for reading a list. They replace what is detected.
#[derive(clap::Args)]
pub(crate) struct ReadingArguments {
    /// Character between cells, such as ; or | or tab, if the detected one is wrong
    #[arg(long, value_name = "CHARACTER", value_parser = separator)]
    separator: Option<char>,
    /// Encoding, such as windows-1250 or shift_jis, if the detected one is wrong
    #[arg(long, value_name = "NAME", value_parser = encoding::named)]
    encoding: Option<&'static Encoding>,
    /// Column of addresses: its name, or its number from 1, if the detected one is wrong
    #[arg(long, value_name = "COLUMN")]
    column: Option<String>,
}

fn separator(text: &str) -> Result<char, String> {
    let mut characters = text.chars();
    match (text, characters.next(), characters.next()) {
        ("tab" | "\\t", ..) => Ok('\t'),
        (_, Some(one), None) if !one.is_alphanumeric() && !matches!(one, '"' | '@' | '.' | '\r' | '\n') => Ok(one),
        _ => Err("give the one character between cells, or the word tab".to_owned()),
    }
}

/// An open list.
pub(crate) struct ListFile {
    name: String,
    reader: ListReader<'static>,
}

impl ListFile {
    /// Opens a file, or, if it is called `-`, standard input.
    pub(crate) fn open(file: &str, reading: &ReadingArguments) -> Result<Self, CommandError> {
        let (name, from): (&str, Box<dyn Read>) = match file {
            "-" => ("standard input", Box::new(std::io::stdin())),
            file => {
                let failed = |error| format!("{file}: {error}; name a file, or - for standard input");
                (file, Box::new(File::open(file).map_err(failed)?))
            }
        };
        let asked =
            ListOptions { encoding: reading.encoding, separator: reading.separator, column: reading.column.clone() };
        let reader = ListReader::new(from, asked).map_err(|error| with_name(name, &error))?;
        Ok(Self { name: name.to_owned(), reader })
    }

    /// Returns the meaning of the lines: detected, or as the arguments say.
    pub(crate) fn meaning(&self, only: Option<Reason>, time_column: Option<String>) -> Result<Meaning, CommandError> {
        let meaning = Meaning::of(&self.reader).with(only, time_column, &self.reader);
        Ok(meaning.map_err(|error| with_name(&self.name, &error))?)
    }

    /// Describes how the list is read, on standard error. Returns the same text.
    pub(crate) fn describe(&self, meaning: Option<&Meaning>) -> String {
        let kind = match (Meaning::of(&self.reader).name(), self.reader.is_table()) {
            (Some(name), _) => format!("{name}: "),
            (None, true) => "a CSV: ".to_owned(),
            (None, false) => String::new(),
        };
        let sources = meaning.map(|meaning| format!(", {}", meaning.sources())).unwrap_or_default();
        let how = sanitize(&format!("{kind}{}{sources}", self.reader.form()));
        eprintln!("{} is read as {how}.", self.name);
        how
    }

    /// Returns the next line that is not empty.
    pub(crate) fn next(&mut self) -> Result<Option<ListLine>, CommandError> {
        Ok(self.reader.next().transpose().map_err(|error| with_name(&self.name, &error))?)
    }

    /// Returns the line counts, after all lines were read. Reports on standard error the lines whose encoding was guessed.
    ///
    /// # Errors
    /// The list contains no address.
    pub(crate) fn counts(&self) -> Result<LineCounts, CommandError> {
        let (counts, guessed) = (self.reader.counts(), self.reader.guessed());
        if guessed.lines > 0 {
            eprintln!(
                "{}: line {}{} not UTF-8, and read as Windows-1252; if that is wrong, name the encoding with --encoding.",
                self.name,
                guessed.first,
                if guessed.lines == 1 { " is".to_owned() } else { format!(" and {} more are", guessed.lines - 1) }
            );
        }
        match counts {
            LineCounts { lines: 0, .. } => {
                Err(format!("{}: the list is empty; is it the right file?", self.name).into())
            }
            LineCounts { read: 0, refused: 0, .. } => {
                Err(format!("{}: the list has no address, only column names, comments or empty lines", self.name)
                    .into())
            }
            counts => Ok(counts),
        }
    }
}

fn with_name(name: &str, error: &ListError) -> String {
    format!("{name}: {error}")
}
