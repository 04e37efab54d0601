//! The format of a list: bare addresses, a table, or JSON lines; and the column of the addresses.
//!
//! There is one rule, for every command: the column with the best known name; where no line names columns, the one column with an
//! address in it.

use encoding_rs::Encoding;

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

/// The format of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// An address a line.
    Bare,
    /// Cells, of which one is the address.
    Table {
        /// The separator of the cells.
        separator: char,
        /// The place of the address among them, from 0.
        column: usize,
        /// The names of the columns; empty where no line has them.
        names: Vec<String>,
    },
    /// A JSON object a line.
    JsonLines,
}

/// The options with which a list is read. An option that is not given is detected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListOptions {
    /// The encoding.
    pub encoding: Option<&'static Encoding>,
    /// The character that parts cells.
    pub separator: Option<char>,
    /// The column of addresses: its name, or its number, from 1.
    pub column: Option<String>,
}

impl ListOptions {
    /// The characters that may part cells.
    fn separators(&self) -> Vec<char> {
        self.separator.map_or_else(|| SEPARATORS.to_vec(), |separator| vec![separator])
    }

    /// The place of the column of addresses among names, from 0.
    pub(super) fn column_of(&self, names: &[String]) -> Option<usize> {
        let Some(asked) = &self.column else { return column_of(names) };
        names.iter().position(|name| plain(name) == plain(asked))
    }

    /// The place of the column of addresses, from 0, where its number was given.
    fn place(&self) -> Option<usize> {
        self.column.as_ref()?.trim().parse::<usize>().ok()?.checked_sub(1)
    }
}

impl Shape {
    /// The format as text, with the name of the encoding.
    pub(super) fn describe(&self, encoding: &str) -> String {
        let Self::Table { separator, column, names } = self else {
            let what = if *self == Self::Bare { "one address per line" } else { "one JSON object per line" };
            return format!("{what}, {encoding}");
        };
        let separator = if *separator == '\t' { "tab".to_owned() } else { format!("'{separator}'") };
        let address = match names.get(*column) {
            Some(name) => format!("`{}` (column {})", name.trim(), column + 1),
            None => format!("column {}, no line names the columns", column + 1),
        };
        format!("separator {separator}, {encoding}, address in {address}")
    }
}

/// A name of a column as it is compared: in small letters, without spaces, hyphens, underscores and dots.
pub fn plain(name: &str) -> String {
    name.to_lowercase().replace([' ', '-', '_', '.'], "")
}

/// The place of the column of addresses among names, from 0.
fn column_of(names: &[String]) -> Option<usize> {
    let names: Vec<String> = names.iter().map(|name| plain(name)).collect();
    NAMES.iter().find_map(|known| names.iter().position(|name| name == known))
}

/// Detects the format of a list from its first lines with content, and from the options. Also returns the index of the header among these
/// lines.
///
/// # Errors
/// The file is not a list, or has no such column.
pub(super) fn decide(lines: &[&str], asked: &ListOptions) -> Result<(Shape, Option<usize>), ListError> {
    let Some(first) = lines.first() else { return Ok((Shape::Bare, None)) };
    let is_object = |text: &str| serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text).is_ok();
    if first.trim_start().starts_with('{') && is_object(first) {
        return Ok((Shape::JsonLines, None));
    }
    let parted =
        asked.separators().into_iter().map(|separator| (separator, cells(first, separator).unwrap_or_default()));
    let parted: Vec<(char, Vec<String>)> = parted.collect();
    let named = parted.iter().filter_map(|(separator, names)| Some((asked.column_of(names)?, *separator, names)));
    if let Some((column, separator, names)) = named.max_by_key(|(_, _, names)| names.len()) {
        // Of one column there is nothing to part: a line is an address, whatever quotes and commas its name has.
        let names = names.clone();
        let shape = if names.len() == 1 { Shape::Bare } else { Shape::Table { separator, column, names } };
        return Ok((shape, Some(0)));
    }
    if asked.column.is_some() {
        return by_number(parted, asked);
    }
    for (place, line) in lines.iter().enumerate() {
        if recipient(line).is_ok() {
            return if place == 0 { Ok((Shape::Bare, None)) } else { refuse_line(first).map(|()| (Shape::Bare, None)) };
        }
        let Some((separator, column, width)) = column_with_address(line, asked) else { continue };
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

/// The table whose column of addresses was given by its number. Its first line names the columns if no address is in it.
fn by_number(parted: Vec<(char, Vec<String>)>, asked: &ListOptions) -> Result<(Shape, Option<usize>), ListError> {
    let widest = parted.into_iter().max_by_key(|(_, cells)| cells.len());
    let (separator, names) = widest.unwrap_or_default();
    let has_address = names.iter().any(|cell| cell.contains('@'));
    let column = asked.place().filter(|place| *place < names.len());
    let column = column.ok_or_else(|| {
        ListError::no_column(asked.column.as_deref().unwrap_or_default(), if has_address { &[] } else { &names })
    })?;
    let header = (!has_address).then_some(0);
    let names = if has_address { Vec::new() } else { names };
    Ok((Shape::Table { separator, column, names }, header))
}

/// The column of a line that is the only one with an address in it: what parts the line, its place, and how many cells there are.
fn column_with_address(line: &str, asked: &ListOptions) -> Option<(char, usize, usize)> {
    let found = asked.separators().into_iter().filter_map(|separator| {
        let cells = cells(line, separator).ok()?;
        let mut with_address = cells.iter().enumerate().filter(|(_, cell)| recipient(cell).is_ok());
        let (column, _) = with_address.next()?;
        with_address.next().is_none().then_some((separator, column, cells.len()))
    });
    found.max_by_key(|(.., width)| *width)
}

/// Returns true if a line is an entry of its own, and not the rest of a cell that began in an earlier line: one of its cells is an address
/// and nothing else.
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
    fn the_best_known_column_name_wins_wherever_it_is() {
        let column = |names: &[&str]| column_of(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(column(&["Address", "City", "E-Mail"]), Some(2), "a postal address comes after");
        assert_eq!(column(&["Email Address", "First Name"]), Some(0));
        assert_eq!(column(&["email", "recipient"]), Some(1));
        assert_eq!(column(&["address", "code", "error"]), Some(0));
        assert_eq!(column(&["name", "company"]), None);
    }

    #[test]
    fn what_was_asked_for_goes_before_what_was_found_out() {
        let asked = |separator, column: &str| ListOptions {
            separator,
            column: (!column.is_empty()).then(|| column.to_owned()),
            encoding: None,
        };
        let shape = |text: &str, asked: &ListOptions| decide(&text.lines().collect::<Vec<_>>(), asked);
        let two = "email|backup,email\nann@example.com|ann@old.example";
        let (found, _) = shape(two, &asked(Some('|'), "")).unwrap();
        assert!(matches!(found, Shape::Table { separator: '|', column: 0, .. }), "{found:?}");
        let (found, header) = shape("email,Work Mail\na@b.c,d@e.f", &asked(None, "work_mail")).unwrap();
        assert!(matches!(found, Shape::Table { column: 1, .. }) && header == Some(0), "{found:?}");
        let (found, header) = shape("a@b.c,d@e.f", &asked(None, "2")).unwrap();
        assert!(matches!(found, Shape::Table { column: 1, .. }) && header.is_none(), "{found:?}");
        let (found, header) = shape("wer,was\na@b.c,d@e.f", &asked(None, "2")).unwrap();
        assert!(matches!(found, Shape::Table { column: 1, .. }) && header == Some(0), "{found:?}");
        for (text, words) in [("email,name\na@b.c,Ann", "email, name"), ("a@b.c,d@e.f", "its number")] {
            let error = shape(text, &asked(None, "kontakt")).unwrap_err().to_string();
            assert!(error.contains("\"kontakt\"") && error.contains(words), "{error}");
        }
    }

    #[test]
    fn without_names_the_column_is_the_one_with_an_address() {
        let shape = |text: &str| decide(&text.lines().collect::<Vec<_>>(), &ListOptions::default()).unwrap();
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
