//! The cells of a line of a CSV, and what keeps a spreadsheet from calculating one.

/// A line that can't be split into cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// A quote is opened and not closed: the cell may go on in the next line.
    Open,
    /// Something follows a closed quote that is not the next cell.
    AfterQuote,
}

/// The cells of a line, each trimmed. A text in quotes is unchanged.
///
/// Quotes are as in RFC 4180 (<https://www.rfc-editor.org/rfc/rfc4180#section-2>), and strict: what follows a closing quote is the
/// next cell, else a quote is missing somewhere, and nobody can say where.
pub(super) fn cells(line: &str, separator: char) -> Result<Vec<String>, Broken> {
    let mut cells = Vec::new();
    let mut rest = line;
    loop {
        let begin = rest.trim_start_matches(|c: char| c.is_whitespace() && c != separator);
        let after = match begin.strip_prefix('"') {
            Some(quoted) => {
                let (cell, after) = quoted_cell(quoted)?;
                cells.push(cell);
                after.trim_start_matches(|c: char| c.is_whitespace() && c != separator)
            }
            None => {
                let (cell, after) = begin.split_at(begin.find(separator).unwrap_or(begin.len()));
                cells.push(cell.trim().to_owned());
                after
            }
        };
        match after.strip_prefix(separator) {
            Some(next) => rest = next,
            None if after.is_empty() => return Ok(cells),
            None => return Err(Broken::AfterQuote),
        }
    }
}

/// A cell whose opening quote is read already, and what follows its closing quote.
fn quoted_cell(text: &str) -> Result<(String, &str), Broken> {
    let mut cell = String::new();
    let mut rest = text;
    loop {
        let (part, after) = rest.split_once('"').ok_or(Broken::Open)?;
        cell.push_str(part);
        match after.strip_prefix('"') {
            Some(next) => {
                cell.push('"');
                rest = next;
            }
            None => return Ok((cell, after)),
        }
    }
}

/// The first characters of a cell that a spreadsheet reads as a formula (<https://owasp.org/www-community/attacks/CSV_Injection>).
const FORMULA: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

/// A cell as it is written, so that a spreadsheet calculates nothing: with an apostrophe before what it would take for a formula.
/// [`unguarded`] takes it off.
pub fn guarded(cell: String) -> String {
    if is_formula(&cell) { format!("'{cell}") } else { cell }
}

/// A cell without the apostrophe that [`guarded`], or a spreadsheet, has put before it.
pub fn unguarded(cell: &str) -> &str {
    cell.strip_prefix('\'').filter(|rest| is_formula(rest)).unwrap_or(cell)
}

/// Apostrophes and spaces before it count as nothing: so what was guarded comes back as it was, whatever it was.
fn is_formula(cell: &str) -> bool {
    cell.trim_start_matches(['\'', ' ']).starts_with(FORMULA)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quotes_are_read_and_an_unclosed_one_is_an_error() {
        let read = |line| cells(line, ',');
        assert_eq!(read(r#"a, "b, ""c""" ,d"#).unwrap(), ["a", r#"b, "c""#, "d"]);
        assert_eq!(read("").unwrap(), [""]);
        assert_eq!(read("a,,").unwrap(), ["a", "", ""]);
        assert_eq!(read(r#"Bob "Bobby" Lee,x"#).unwrap(), [r#"Bob "Bobby" Lee"#, "x"], "quotes inside a cell");
        assert_eq!(read(r#"x@example.com,"Bob"#), Err(Broken::Open));
        assert_eq!(read(r#"a,"b""#).unwrap(), ["a", "b"]);
        assert_eq!(read(r#""Lee, Ann" <ann@example.com>"#), Err(Broken::AfterQuote));
        assert_eq!(cells("a\t \"b\"\t", '\t').unwrap(), ["a", "b", ""]);
    }

    #[test]
    fn what_a_spreadsheet_would_calculate_begins_with_an_apostrophe() {
        for cell in ["=1+1", "+49", "-x", "@SUM(A1)", "\tx", "\rx", " =1", "＝1", "'=1"] {
            assert!(guarded(cell.to_owned()).starts_with('\''), "{cell:?}");
        }
        assert_eq!(guarded("o'neill@example.com".to_owned()), "o'neill@example.com");
        assert_eq!(guarded("'ann@example.com".to_owned()), "'ann@example.com");
    }

    proptest! {
        #[test]
        fn a_guarded_cell_comes_back_as_it_was(cell in "['= +@\t-]{0,4}[ -~]{0,5}") {
            let written = guarded(cell.clone());
            prop_assert_eq!(unguarded(&written), cell.as_str());
            prop_assert!(!written.trim_start().starts_with(FORMULA));
        }

        #[test]
        fn cells_that_are_quoted_come_back(all in proptest::collection::vec("[a-c,;\" ]{0,6}", 1..5)) {
            let line: Vec<String> = all.iter().map(|cell| format!("\"{}\"", cell.replace('"', "\"\""))).collect();
            for separator in [',', ';'] {
                prop_assert_eq!(cells(&line.join(&separator.to_string()), separator), Ok(all.clone()));
            }
        }
    }
}
