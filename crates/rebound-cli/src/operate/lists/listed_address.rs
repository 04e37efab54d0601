//! An entry of a list: the address in a line, and the other cells of the line.

use rebound::policy::count::count;
use rebound::resend::recipient::Recipient;
use serde_json::{Map, Value};

use super::address::{oddity, recipient};
use super::cells::unguarded;
use super::shape::{ListOptions, plain};

/// An entry of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedAddress {
    /// The recipient.
    pub recipient: Recipient,
    /// The address as it is written.
    pub written: String,
    /// An oddity of the address, which is read nevertheless.
    pub odd: Option<&'static str>,
    /// The cells, by the names of their columns; without a header, by their numbers, from 1.
    cells: Vec<(String, String)>,
}

impl ListedAddress {
    pub(super) fn new(recipient: Recipient, written: String, cells: Vec<(String, String)>) -> Self {
        let odd = oddity(&recipient);
        Self { recipient, written, odd, cells }
    }

    /// The text in the column of this name, which is in small letters; `None` where there is no such column, or nothing in it.
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, cell) = self.cells.iter().find(|(known, _)| known == name)?;
        Some(cell.as_str()).filter(|cell| !cell.trim().is_empty())
    }

    /// The text in the column of this name, however it is spelled: in capitals, with spaces, hyphens or underscores. The name is given
    /// without these.
    pub fn find(&self, name: &str) -> Option<&str> {
        let (_, cell) = self.cells.iter().find(|(known, _)| plain(known) == name)?;
        Some(cell.as_str()).filter(|cell| !cell.trim().is_empty())
    }

    /// The texts in columns that no line names.
    pub fn unnamed(&self) -> impl Iterator<Item = &str> {
        let is_number = |name: &str| name.parse::<usize>().is_ok();
        self.cells.iter().filter(move |(name, _)| is_number(name)).map(|(_, cell)| cell.as_str())
    }
}

/// A column that only an export of Rebound has.
const OF_EXPORTS: &str = "lifted_by";

/// The address in a cell as `export` writes it: nothing is around it.
fn as_it_is(cell: &str) -> Option<Recipient> {
    Recipient::parse(cell).filter(|recipient| recipient.as_str() == cell)
}

/// The entry in the cells of a line.
pub(super) fn of_cells(cells: Vec<String>, column: usize, names: &[String]) -> Result<ListedAddress, String> {
    let surplus = cells.iter().skip(names.len()).filter(|cell| !cell.trim().is_empty()).count();
    if !names.is_empty() && surplus > 0 {
        return Err(format!(
            "it has {}, but the header has {}: is a separator in a cell not quoted?",
            count(cells.len(), "cell"),
            names.len()
        ));
    }
    let cell = cells.get(column).map_or("", String::as_str);
    let bare = if names.iter().any(|name| name == OF_EXPORTS) { as_it_is(unguarded(cell)) } else { None };
    let recipient = bare.map_or_else(|| recipient(cell), Ok).map_err(|why| match names.get(column) {
        Some(name) => format!("in the column {name:?}: {why}"),
        None => format!("in column {}: {why}", column + 1),
    })?;
    let written = cell.to_owned();
    // What no line names has its number for a name.
    let name =
        |place: usize| names.get(place).map_or_else(|| (place + 1).to_string(), |name| name.trim().to_lowercase());
    let cells = cells.iter().enumerate().map(|(place, cell)| (name(place), unguarded(cell).to_owned()));
    Ok(ListedAddress::new(recipient, written, cells.collect()))
}

/// The names of the fields of a JSON object.
pub(super) fn names_of_json(text: &str) -> Vec<String> {
    let fields: Map<String, Value> = serde_json::from_str(text).unwrap_or_default();
    fields.into_iter().map(|(name, _)| name).collect()
}

/// The entry in a JSON object.
pub(super) fn of_json(text: &str, asked: &ListOptions) -> Result<ListedAddress, String> {
    let fields: Map<String, Value> =
        serde_json::from_str(text).map_err(|error| format!("it is not a JSON object: {error}"))?;
    let (names, values): (Vec<String>, Vec<Value>) = fields.into_iter().unzip();
    let column = asked.column_of(&names).ok_or_else(|| match &asked.column {
        Some(name) => format!("it has no field {name:?}"),
        None => "it has no field `recipient`, `email` or `address`".to_owned(),
    })?;
    let values = values.into_iter().map(|value| match value {
        Value::String(text) => text,
        Value::Null => String::new(),
        other => other.to_string(),
    });
    let cells: Vec<(String, String)> = names.into_iter().map(|name| name.to_lowercase()).zip(values).collect();
    let written = cells.get(column).map_or("", |(_, cell)| cell);
    let recipient = as_it_is(written).map_or_else(|| recipient(written), Ok)?;
    Ok(ListedAddress::new(recipient, written.to_owned(), cells))
}
