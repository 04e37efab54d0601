//! Files that are no lists, by how they begin: each is refused with what to do.

use super::encoding;

/// A file that is not a list.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The file can't be read.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// A workbook: a zip archive with XML in it, or the older form.
    #[error(
        "it is a workbook (or an archive), and not text: open it, and save the sheet with the addresses as CSV (UTF-8)"
    )]
    Workbook,
    /// A document.
    #[error("it is a document, and not a list: copy the addresses into a text file, one per line")]
    Document,
    /// A web page, or a spreadsheet's XML.
    #[error(
        "it is HTML or XML, and not a list: save it as CSV (UTF-8), or copy the addresses into a text file, one per line"
    )]
    Markup,
    /// JSON that is not a line for each entry.
    #[error(
        "it is one JSON document, and not a list: write one object per line, such as {{\"recipient\": \"ann@example.com\"}} \
         (jq -c '.[]' FILE for an array of objects, as SendGrid returns; jq -c '.SuppressedDestinationSummaries[]' FILE for what SES \
         returns, .Suppressions[] for Postmark, .data[] for Resend, .items[] for Mailgun)"
    )]
    Json,
    /// The column that was asked for is not there.
    #[error("it has no column {name:?}; there are {known}")]
    NoColumn {
        /// The name that was given.
        name: String,
        /// The names that there are.
        known: String,
    },
    /// Anything else that is no text.
    #[error("it is not text: name a CSV, JSON lines, or a file with one address per line")]
    Binary,
}

impl ListError {
    /// There is no column of this name among these.
    pub(crate) fn no_column(name: &str, names: &[String]) -> Self {
        let known = match names {
            [] => "no names of columns: give its number, from 1".to_owned(),
            names => names.join(", "),
        };
        Self::NoColumn { name: name.to_owned(), known }
    }
}

/// Number of bytes at the beginning of a file that are checked for its format.
pub(super) const HEAD: usize = 1_024;

/// Checks the beginning of a file, and rejects a file that is not text.
pub(super) fn refuse(head: &[u8]) -> Result<(), ListError> {
    let begins = |with: &[u8]| head.starts_with(with);
    if begins(b"PK\x03\x04") || begins(b"\xd0\xcf\x11\xe0") || begins(b"\x1f\x8b") {
        return Err(ListError::Workbook);
    }
    if begins(b"%PDF") || begins(b"{\\rtf") {
        return Err(ListError::Document);
    }
    if head.contains(&0) && encoding::of_head(head).is_none() {
        return Err(ListError::Binary);
    }
    Ok(())
}

/// Checks the first line that is not an entry, and rejects another kind of document.
pub(super) fn refuse_line(line: &str) -> Result<(), ListError> {
    let line = line.trim();
    // `[ann@example.com](mailto:ann@example.com)` is a line of a list, though not a good one.
    let is_array = line.starts_with('[') && !line.contains("](");
    if line.starts_with('{') || is_array {
        return Err(ListError::Json);
    }
    let name = line.strip_prefix('<').and_then(|rest| rest.chars().next());
    match name {
        Some(c) if c.is_ascii_alphabetic() || matches!(c, '!' | '?' | '/') => Err(ListError::Markup),
        _ => Ok(()),
    }
}
