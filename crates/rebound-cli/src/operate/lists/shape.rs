//! How a list is written: bare addresses, a table, or JSON lines; and in which column the addresses are.
//!
//! There is one rule, for every command: the column with the best known name; where no line names columns, the one column with an
//! address in it.

use std::fmt;

use super::address::recipient;
use super::cells::cells;
use super::file::{ListError, refuse_line};

/// The names that the column of addresses may have, the best first; in small letters, without spaces, hyphens, underscores and dots.
const NAMES: [&str; 22] = [
    "recipient",
    "email",
    "emailaddress",
    "recipientemail",
    "recipientemailaddress",
    "subscriberemail",
    "contactemail",
    "useremail",
    "customeremail",
    "email1",
    "emailid",
    "mail",
    "mailaddress",
    "to",
    "emailadresse",
    "mailadresse",
    "adresseemail",
    "courriel",
    "correo",
    "correoelectronico",
    "メールアドレス",
    "address",
];

/// The characters that may part cells.
const SEPARATORS: [char; 3] = [',', ';', '\t'];

/// How a list is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// An address a line.
    Bare,
    /// Cells, of which one is the address.
    Table {
        /// What parts the cells.
        separator: char,
        /// The place of the address among them, from 0.
        column: usize,
        /// The names of the columns; empty where no line has them.
        names: Vec<String>,
    },
    /// A JSON object a line.
    JsonLines,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Table { separator, column, names } = self else {
            return f.write_str(if *self == Self::Bare { "an address a line" } else { "a JSON object a line" });
        };
        let separator = match separator {
            ',' => "commas",
            ';' => "semicolons",
            _ => "tabs",
        };
        write!(f, "a CSV, separated by {separator}, with the addresses in column {}", column + 1)?;
        match names.get(*column) {
            Some(name) => write!(f, ", {name:?}"),
            None => f.write_str("; no line names the columns"),
        }
    }
}

/// The place of the column of addresses among names, from 0.
pub(super) fn column_of(names: &[String]) -> Option<usize> {
    let plain = |name: &String| name.to_lowercase().replace([' ', '-', '_', '.'], "");
    let names: Vec<String> = names.iter().map(plain).collect();
    NAMES.iter().find_map(|known| names.iter().position(|name| name == known))
}

/// Decides how a list is written, by its first lines, those left out that say nothing. Also answers the place of the line among
/// them that names the columns.
///
/// # Errors
/// It is no list.
pub(super) fn decide(lines: &[&str]) -> Result<(Shape, Option<usize>), ListError> {
    let Some(first) = lines.first() else { return Ok((Shape::Bare, None)) };
    let is_object = |text: &str| serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text).is_ok();
    if first.trim_start().starts_with('{') && is_object(first) {
        return Ok((Shape::JsonLines, None));
    }
    let parted = |line: &str| SEPARATORS.map(|separator| (separator, cells(line, separator).unwrap_or_default()));
    let named = parted(first).into_iter().filter_map(|(separator, names)| Some((column_of(&names)?, separator, names)));
    if let Some((column, separator, names)) = named.max_by_key(|(_, _, names)| names.len()) {
        // Of one column there is nothing to part: a line is an address, whatever quotes and commas its name has.
        let shape = if names.len() == 1 { Shape::Bare } else { Shape::Table { separator, column, names } };
        return Ok((shape, Some(0)));
    }
    for (place, line) in lines.iter().enumerate() {
        if recipient(line).is_ok() {
            return if place == 0 { Ok((Shape::Bare, None)) } else { refuse_line(first).map(|()| (Shape::Bare, None)) };
        }
        let Some((separator, column, width)) = column_with_address(line) else { continue };
        if place > 0 || column > 0 {
            refuse_line(first)?;
        }
        if place == 0 {
            return Ok((Shape::Table { separator, column, names: Vec::new() }, None));
        }
        // What comes before it, and looks like it, has the names of columns that nobody knows.
        let names = cells(first, separator).unwrap_or_default();
        let is_header = names.len() == width && names.iter().all(|name| !name.contains('@'));
        let names = if is_header { names } else { Vec::new() };
        return Ok((Shape::Table { separator, column, names }, is_header.then_some(0)));
    }
    refuse_line(first).map(|()| (Shape::Bare, None))
}

/// The column of a line that is the only one with an address in it: what parts the line, its place, and how many cells there are.
fn column_with_address(line: &str) -> Option<(char, usize, usize)> {
    let found = SEPARATORS.into_iter().filter_map(|separator| {
        let cells = cells(line, separator).ok()?;
        let mut with_address = cells.iter().enumerate().filter(|(_, cell)| recipient(cell).is_ok());
        let (column, _) = with_address.next()?;
        with_address.next().is_none().then_some((separator, column, cells.len()))
    });
    found.max_by_key(|(.., width)| *width)
}

/// Tells whether a line is an entry of its own, rather than the rest of a cell that was begun in a line before: whether one of its
/// cells is an address and nothing else.
pub(super) fn looks_like_an_entry(line: &str, separator: char) -> bool {
    let is_address = |cell: &str| {
        let cell = cell.trim().trim_matches('"').trim();
        (cell.ends_with('>') || !cell.contains(char::is_whitespace)) && recipient(cell).is_ok()
    };
    line.split(separator).any(is_address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_known_name_is_the_column_wherever_it_stands() {
        let column = |names: &[&str]| column_of(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(column(&["Address", "City", "E-Mail"]), Some(2), "a postal address comes after");
        assert_eq!(column(&["Email Address", "First Name"]), Some(0));
        assert_eq!(column(&["email", "recipient"]), Some(1));
        assert_eq!(column(&["address", "code", "error"]), Some(0));
        assert_eq!(column(&["name", "company"]), None);
    }

    #[test]
    fn without_names_the_column_is_the_one_with_an_address() {
        let shape = |text: &str| decide(&text.lines().collect::<Vec<_>>()).unwrap();
        let table = |separator, column, names: &[&str]| Shape::Table {
            separator,
            column,
            names: names.iter().map(|name| (*name).to_owned()).collect(),
        };
        assert_eq!(shape("Ann,ann@example.com,x"), (table(',', 1, &[]), None));
        assert_eq!(shape("Lee, Ann;ann@example.com"), (table(';', 1, &[]), None));
        assert_eq!(shape("Name;Kontakt\nAnn;ann@example.com"), (table(';', 1, &["Name", "Kontakt"]), Some(0)));
        assert_eq!(shape("nobody\nann@example.com"), (Shape::Bare, None), "a line that was mistyped is no header");
        assert_eq!(shape("a@example.com,b@example.com"), (Shape::Bare, None));
        assert_eq!(shape("Email\n\"Lee, Ann\" <ann@example.com>"), (Shape::Bare, Some(0)));
        assert_eq!(shape(r#"{"recipient":"ann@example.com"}"#), (Shape::JsonLines, None));
        assert_eq!(shape("x@example.com,\"Bob\ny@example.com,Eve"), (table(',', 0, &[]), None));
    }
}
