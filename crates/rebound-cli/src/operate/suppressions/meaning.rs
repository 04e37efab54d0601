//! The meaning of the lines of a list: of a known export, or of any other list; flags can override it.

use rebound::policy::suppression::Reason;
use rebound::time::UnixMillis;

use super::entry::{ListRow, known_reason};
use super::exports::{Export, LineMeaning};
use crate::operate::lists::file::ListError;
use crate::operate::lists::shape::plain;
use crate::operate::lists::{ListReader, ListedAddress};

/// The columns by which Rebound's own export is recognized.
const OWN: [&str; 4] = ["recipient", "reason", "liftedat", "liftedby"];

/// The meaning of the lines of a list.
#[derive(Debug, Default)]
pub struct Meaning {
    /// The export that it is, if it is one that is known.
    export: Option<&'static Export>,
    is_own: bool,
    has_time: bool,
    has_reason: bool,
    has_unnamed: bool,
    /// The reason that every line has, where somebody says so.
    only: Option<Reason>,
    /// The column of times, where somebody says so.
    time_column: Option<String>,
}

impl Meaning {
    /// Finds out what the lines of a list mean, by the names of its columns.
    pub fn of(list: &ListReader<'_>) -> Self {
        let columns = list.columns();
        let has = |name: &str| columns.iter().any(|column| column == name);
        let is_own = OWN.iter().all(|name| has(name));
        let export = if is_own { None } else { Export::of(&columns) };
        let (has_time, has_reason, has_unnamed) = (has("at"), has("reason"), list.has_unnamed());
        Self { export, is_own, has_time, has_reason, has_unnamed, only: None, time_column: None }
    }

    /// The same, but with one reason for every line, or with another column of times, where somebody says so.
    ///
    /// # Errors
    /// There is no such column.
    pub fn with(
        self,
        only: Option<Reason>,
        time_column: Option<String>,
        list: &ListReader<'_>,
    ) -> Result<Self, ListError> {
        if let Some(name) = &time_column {
            let is_named = list.columns().contains(&plain(name));
            let is_number = self.has_unnamed && name.parse::<usize>().is_ok_and(|number| number > 0);
            if !(is_named || is_number) {
                return Err(ListError::no_column(name, list.names()));
            }
        }
        Ok(Self { only, time_column, ..self })
    }

    /// The name of the list, for people; `None`: it is none that is known.
    pub fn name(&self) -> Option<&'static str> {
        let own = self.is_own.then_some("an export of Rebound");
        self.export.map(|export| export.name).or(own)
    }

    /// Where times and reasons are taken from, for people.
    pub fn sources(&self) -> String {
        let time = match (&self.time_column, self.export) {
            (Some(column), _) => format!("time in `{column}`"),
            (None, Some(Export { time: Some(column), .. })) => format!("time in `{column}`"),
            (None, None) if self.has_time => "time in `at`".to_owned(),
            (None, None) if self.has_unnamed => "time where a cell has one".to_owned(),
            _ => "no times".to_owned(),
        };
        let reason = match (self.only, self.export) {
            (Some(reason), _) => format!("reason {}, as --as says", reason.as_str()),
            (None, Some(export)) => export.reasons.to_owned(),
            (None, None) if self.has_reason => "reason as in `reason`".to_owned(),
            (None, None) if self.has_unnamed => "reason manual where no cell has another".to_owned(),
            (None, None) => "reason manual".to_owned(),
        };
        format!("{time}, {reason}")
    }

    /// Reads the meaning of a line.
    ///
    /// # Errors
    /// The line is invalid: the reason, as text.
    pub(super) fn read(&self, row: &ListedAddress) -> Result<LineMeaning, String> {
        let mut said = match self.export {
            // With a reason for all of them, nothing that an export says is against it.
            Some(export) if self.only.is_some() => match export.read(row) {
                Ok(LineMeaning::Suppressed(entry)) => LineMeaning::Suppressed(entry),
                _ => LineMeaning::Suppressed(Box::new(ListRow::bare(row))),
            },
            Some(export) => export.read(row)?,
            None => LineMeaning::Suppressed(Box::new(without_names(row))),
        };
        if let LineMeaning::Suppressed(entry) = &mut said {
            if let Some(reason) = self.only {
                entry.reason = Some(reason.as_str().to_owned());
            }
            if let Some(column) = &self.time_column {
                entry.at = row.find(&plain(column)).map(str::to_owned);
            }
        }
        Ok(said)
    }
}

/// The entry of a line whose columns have no names: a cell that is a word for a reason is the reason, one that is a whole time is the time.
fn without_names(row: &ListedAddress) -> ListRow {
    let entry = ListRow::of(row);
    let reason = row.unnamed().map(str::trim).find(|cell| known_reason(cell).is_some());
    let at = row.unnamed().map(str::trim).find(|cell| UnixMillis::parse(cell).is_some());
    ListRow { reason: entry.reason.or(reason.map(str::to_owned)), at: entry.at.or(at.map(str::to_owned)), ..entry }
}
