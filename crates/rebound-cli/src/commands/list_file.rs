//! A list of addresses, from a file or from standard input.

use std::fs::File;
use std::io::Read;

use rebound_cli::operate::lists::file::ListError;
use rebound_cli::operate::lists::{Line, LineCounts, ListReader};
use rebound_dev::commands::Failure;

/// A list that is open.
pub(crate) struct ListFile {
    name: String,
    reader: ListReader<Box<dyn Read>>,
}

impl ListFile {
    /// Opens a file, or, if it is called `-`, standard input. Says on standard error how it is read.
    pub(crate) fn open(file: &str) -> Result<Self, Failure> {
        let (name, from): (&str, Box<dyn Read>) = match file {
            "-" => ("standard input", Box::new(std::io::stdin())),
            file => {
                let failed = |error| format!("{file}: {error}; name a file, or - for standard input");
                (file, Box::new(File::open(file).map_err(failed)?))
            }
        };
        let reader = ListReader::new(from).map_err(|error| named(name, &error))?;
        eprintln!("{name} is read as {}.", reader.shape());
        Ok(Self { name: name.to_owned(), reader })
    }

    /// The next line that says something.
    pub(crate) fn next(&mut self) -> Result<Option<Line>, Failure> {
        Ok(self.reader.next().transpose().map_err(|error| named(&self.name, &error))?)
    }

    /// What its lines came to, once all are read.
    ///
    /// # Errors
    /// Nobody is in it.
    pub(crate) fn counts(&self) -> Result<LineCounts, Failure> {
        let counts = self.reader.counts();
        match counts {
            LineCounts { lines: 0, .. } => Err(format!("{}: it is empty; is it the right file?", self.name).into()),
            LineCounts { read: 0, refused: 0, .. } => {
                Err(format!("{}: there is no address in it, only names of columns, comments or empty lines", self.name)
                    .into())
            }
            counts => Ok(counts),
        }
    }
}

fn named(name: &str, error: &ListError) -> String {
    format!("{name}: {error}")
}
