//! Addresses from a file: one a line, or a column of a CSV.

/// The names that the column of addresses may have.
pub const COLUMNS: [&str; 4] = ["recipient", "email", "address", "e-mail"];

/// The addresses in a text: of a CSV with a header, those in the column `email`, `address` or `recipient`; else one a line. Empty lines
/// and lines that begin with `#` are passed over.
pub fn read(text: &str) -> Vec<String> {
    let text = text.trim_start_matches('\u{feff}');
    let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes());
    let column = reader.headers().ok().and_then(column_of);
    if let Some(column) = column {
        let records = reader.records().filter_map(Result::ok);
        let cells = records.filter_map(|record| record.get(column).map(str::to_owned));
        return cells.filter(|cell| !cell.is_empty() && !cell.starts_with('#')).collect();
    }
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(str::to_owned).collect()
}

/// Which column of a header holds the addresses.
pub fn column_of(header: &csv::StringRecord) -> Option<usize> {
    header.iter().position(|name| COLUMNS.contains(&name.trim().to_ascii_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_a_line_or_a_column_of_a_csv() {
        assert_eq!(read("a@b.c\r\n\n# a note\n  Ann <d@e.f> \n"), ["a@b.c", "Ann <d@e.f>"]);
        assert_eq!(read("\u{feff}name,Email\n\"Lee, Ann\",a@b.c\nBob,\nEve,d@e.f\n"), ["a@b.c", "d@e.f"]);
        assert_eq!(read("recipient\na@b.c"), ["a@b.c"]);
        assert_eq!(read("a@b.c,d@e.f"), ["a@b.c,d@e.f"], "no header: the line is what was meant, and is no address");
        assert!(read("").is_empty());
    }
}
