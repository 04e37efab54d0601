//! Tables for people, fitted to the width of the terminal, without broken words.
//!
//! All programs use these tables: no other file may use the library that draws them, and every table must be rendered by a test
//! (`crates/rebound-cli/tests/it/tables.rs`).
//!
//! ```text
//! does it fit, with texts wrapped between words? ── yes ──▶ drawn
//!        │ no
//! is there a column that may be omitted? ── yes ──▶ tried again without the least important one; a line names the omitted columns
//!        │ no
//! does it fit, with text columns as narrow as their longest word? ── yes ──▶ drawn
//!        │ no
//!        └──▶ each row becomes a block: a line for each column
//! ```

pub use comfy_table::Color;
use comfy_table::{CellAlignment, ContentArrangement, presets};

use super::words::{LONGEST_WORD, longest_word, pad, width_of, wrap};
use super::{Cell, WIDE};

/// Minimum width of a column of texts, unless all of them are shorter.
const MIN_PROSE: usize = 16;

/// Minimum width of a table. A narrower terminal wraps its lines.
const MIN_WIDTH: usize = 40;

/// The widths at which every table is tested: a classic terminal, a usual window, a wide window.
const TESTED_WIDTHS: [usize; 3] = [80, 100, 140];

/// Width of the terminal on standard output, in characters. `None` if it is unknown.
pub(super) fn terminal_width() -> Option<u16> {
    comfy_table::Table::new().width()
}

/// A column of a table.
#[derive(Clone, Debug)]
pub struct Column {
    head: String,
    is_number: bool,
    least: u8,
}

impl Column {
    /// A column of texts, aligned left, wrapped if necessary.
    pub fn text(head: impl Into<String>) -> Self {
        Self { head: head.into(), is_number: false, least: 0 }
    }

    /// A column of numbers, aligned right, never wrapped.
    pub fn number(head: impl Into<String>) -> Self {
        Self { head: head.into(), is_number: true, least: 0 }
    }

    /// The column with a rank for its omission: if there is too little space, the column with the highest rank is omitted first. A column
    /// with rank 0 is never omitted.
    pub fn least(self, rank: u8) -> Self {
        Self { least: rank, ..self }
    }
}

/// A table: columns and rows.
#[derive(Clone, Debug)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table without rows.
    pub fn new(columns: impl IntoIterator<Item = Column>) -> Self {
        Self { columns: columns.into_iter().collect(), rows: Vec::new() }
    }

    /// Adds a row: a cell for each column, from the first on. Missing cells are empty.
    pub fn add<C: Into<Cell>>(&mut self, cells: impl IntoIterator<Item = C>) {
        let mut row: Vec<Cell> = cells.into_iter().map(Into::into).take(self.columns.len()).collect();
        row.resize_with(self.columns.len(), || Cell::new(""));
        self.rows.push(row);
    }

    /// The table with these rows added.
    pub fn with<C: Into<Cell>>(mut self, rows: impl IntoIterator<Item = impl IntoIterator<Item = C>>) -> Self {
        rows.into_iter().for_each(|row| self.add(row));
        self
    }

    /// Prints the table, as wide as the output.
    pub fn print(&self) {
        super::write_as_it_is(std::io::stdout(), &self.render(super::width(), super::is_coloured()));
    }

    /// The table as text, at most `width` characters wide.
    pub fn render(&self, width: usize, is_coloured: bool) -> String {
        let width = width.max(MIN_WIDTH);
        let mut shown: Vec<usize> = (0..self.columns.len()).collect();
        let mut widths = self.fit(&shown, width, MIN_PROSE);
        while widths.is_none() {
            let rank = |index: &usize| self.columns.get(*index).map_or(0, |column| column.least);
            let least = shown.iter().copied().max_by_key(rank).filter(|index| rank(index) > 0);
            let Some(least) = least else { break };
            shown.retain(|index| *index != least);
            widths = self.fit(&shown, width, MIN_PROSE);
        }
        let Some(widths) = widths.or_else(|| self.fit(&shown, width, 0)) else { return self.stack(width) };
        let left_out = (0..self.columns.len()).filter(|index| !shown.contains(index));
        self.draw(&shown, &widths, is_coloured) + &self.left_out(left_out, width)
    }

    /// The lines of a column: head and cells.
    fn lines(&self, index: usize) -> impl Iterator<Item = &str> {
        let head = self.columns.get(index).map(|column| column.head.as_str());
        let cells = self.rows.iter().filter_map(move |row| row.get(index)).flat_map(|cell| cell.text.lines());
        head.into_iter().chain(cells)
    }

    fn is_number(&self, index: usize) -> bool {
        self.columns.get(index).is_some_and(|column| column.is_number)
    }

    /// The width of each of these columns. `None` if they do not fit with text columns of at least `min_prose`.
    fn fit(&self, shown: &[usize], width: usize, min_prose: usize) -> Option<Vec<usize>> {
        // One border or separator and two spaces for each column, and one more border.
        let room = width.checked_sub(1 + 3 * shown.len())?;
        let wanted: Vec<usize> =
            shown.iter().map(|index| self.lines(*index).map(width_of).max().unwrap_or(0)).collect();
        let least = |(index, wanted): (&usize, &usize)| {
            let lines = || self.lines(*index);
            if self.is_number(*index) {
                // A number is never wrapped, but its head may be.
                let head = lines().next().map_or(0, longest_word);
                lines().skip(1).map(width_of).max().unwrap_or(0).max(head)
            } else {
                lines().map(longest_word).max().unwrap_or(0).max(min_prose.min(*wanted))
            }
        };
        let mut widths: Vec<usize> = shown.iter().zip(&wanted).map(least).collect();
        let mut left = room.checked_sub(widths.iter().sum())?;
        while left > 0 {
            // The column that lacks most gets the next character.
            let lack = |(width, wanted): (&usize, &usize)| (*wanted > *width).then(|| wanted * 1_000 / (*width).max(1));
            let most = widths.iter().zip(&wanted).map(lack).enumerate().max_by_key(|(_, lack)| *lack);
            let Some((index, Some(_))) = most else { break };
            widths.get_mut(index).into_iter().for_each(|width| *width += 1);
            left -= 1;
        }
        Some(widths)
    }

    fn draw(&self, shown: &[usize], widths: &[usize], is_coloured: bool) -> String {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Disabled);
        if self.columns.iter().any(|column| !column.head.is_empty()) {
            let heads = shown.iter().filter_map(|index| self.columns.get(*index)).zip(widths);
            table.set_header(heads.map(|(column, width)| wrap(&column.head, *width).join("\n")).collect::<Vec<_>>());
        }
        for row in &self.rows {
            let cells = shown.iter().filter_map(|index| row.get(*index)).zip(widths).map(|(cell, width)| {
                let shown = comfy_table::Cell::new(wrap(&cell.text, *width).join("\n"));
                cell.colour.map_or_else(|| shown.clone(), |colour| shown.clone().fg(colour))
            });
            table.add_row(cells.collect::<Vec<_>>());
        }
        for (column, _) in shown.iter().enumerate().filter(|(_, index)| self.is_number(**index)) {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        if is_coloured {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        format!("{table}\n")
    }

    fn left_out(&self, columns: impl Iterator<Item = usize>, width: usize) -> String {
        let heads: Vec<&str> =
            columns.filter_map(|index| self.columns.get(index)).map(|column| &*column.head).collect();
        if heads.is_empty() {
            return String::new();
        }
        let text = format!("Columns omitted: {}.", heads.join(", "));
        wrap(&text, width).join("\n") + "\n"
    }

    /// Each row as a block of lines: the column's head, and the cell.
    fn stack(&self, width: usize) -> String {
        let heads = self.columns.iter().map(|column| width_of(&column.head)).max().unwrap_or(0).min(width / 3);
        let mut text = String::new();
        for row in &self.rows {
            text.push_str(&"─".repeat(width));
            text.push('\n');
            for (column, cell) in self.columns.iter().zip(row).filter(|(_, cell)| !cell.text.is_empty()) {
                let mut head = wrap(&column.head, heads).into_iter();
                let mut lines = wrap(&cell.text, width.saturating_sub(heads + 2)).into_iter();
                loop {
                    let (head, line) = (head.next(), lines.next());
                    if head.is_none() && line.is_none() {
                        break;
                    }
                    let line = format!("{}  {}", pad(&head.unwrap_or_default(), heads), line.unwrap_or_default());
                    text.push_str(line.trim_end());
                    text.push('\n');
                }
            }
        }
        text + &"─".repeat(width) + "\n"
    }

    /// The faults of the table at the tested widths: lines that are too wide, broken words, lost words. For tests.
    ///
    /// The check reads only the drawn text.
    pub fn faults(&self) -> Vec<String> {
        TESTED_WIDTHS.iter().flat_map(|width| self.faults_of(&self.render(*width, false), *width)).collect()
    }

    fn faults_of(&self, drawn: &str, width: usize) -> Vec<String> {
        let mut faults = Vec::new();
        for line in drawn.lines().filter(|line| width_of(line) > width) {
            faults.push(format!("at {width}, {} characters: {line}", width_of(line)));
        }
        let is_frame = |c: char| c.is_whitespace() || ('\u{2500}'..='\u{257f}').contains(&c);
        let (table, note) = drawn.split_once("Columns omitted: ").unwrap_or((drawn, ""));
        let note: String = note.split_whitespace().collect::<Vec<_>>().join(" ");
        let found: Vec<&str> = table.split(is_frame).filter(|word| !word.is_empty()).collect();
        let all = (0..self.columns.len()).flat_map(|index| self.lines(index));
        let all: Vec<&str> = all.flat_map(|line| line.split(is_frame)).filter(|word| !word.is_empty()).collect();
        let is_long = |word: &&&str| width_of(word) > LONGEST_WORD;
        let long: Vec<&str> = all.iter().filter(is_long).copied().collect();
        for word in found.iter().filter(|word| !all.contains(word) && !long.iter().any(|long| long.contains(**word))) {
            faults.push(format!("at {width}, broken: {word}"));
        }
        for (index, column) in self.columns.iter().enumerate().filter(|(_, column)| !note.contains(&column.head)) {
            let words = self.lines(index).skip(1).flat_map(|line| line.split(is_frame)).filter(|word| !word.is_empty());
            let lost = words.filter(|word| !is_long(&word) && !found.contains(word));
            faults.extend(lost.map(|word| format!("at {width}, lost: {word} of {:?}", column.head)));
        }
        if width >= usize::from(WIDE) && !note.is_empty() {
            faults.push(format!("at {width}, omitted: {note}"));
        }
        faults
    }
}

#[cfg(test)]
mod tests;
