//! The demo's output: paragraphs and tables. All output goes through this module, so that a test sees all of it.

use crate::output::{self, Table};

enum Block {
    Paragraph(String),
    /// A text of several lines, indented and wrapped: an alert, a receipt.
    Quote(String),
    /// Lines that are printed unchanged.
    Lines(String),
    Table(Table),
}

/// The whole output.
#[derive(Default)]
pub(super) struct Page {
    blocks: Vec<Block>,
}

impl Page {
    /// Adds a paragraph, wrapped to the width of the output.
    pub(super) fn say(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Paragraph(text.into()));
    }

    /// Adds a quoted text, and an empty line.
    pub(super) fn quote(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Quote(text.into()));
        self.lines("");
    }

    /// Adds lines, printed unchanged.
    pub(super) fn lines(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Lines(text.into()));
    }

    /// Adds a table, and an empty line.
    pub(super) fn table(&mut self, table: Table) {
        self.blocks.push(Block::Table(table));
        self.lines("");
    }

    /// Prints the page.
    pub(super) fn print(&self) {
        for block in &self.blocks {
            match block {
                Block::Paragraph(text) => output::paragraph(text),
                Block::Quote(text) => text.lines().for_each(output::indented),
                Block::Lines(text) => println!("{text}"),
                Block::Table(table) => table.print(),
            }
        }
    }

    /// The tables. For tests.
    #[cfg(test)]
    pub(super) fn tables(&self) -> impl Iterator<Item = &Table> {
        self.blocks.iter().filter_map(|block| match block {
            Block::Table(table) => Some(table),
            Block::Paragraph(_) | Block::Quote(_) | Block::Lines(_) => None,
        })
    }

    /// The texts outside of tables: first those that may be wrapped, then those printed unchanged. For tests.
    #[cfg(test)]
    pub(super) fn texts(&self) -> [String; 2] {
        let (mut wrapped, mut as_it_is) = (String::new(), String::new());
        for block in &self.blocks {
            match block {
                Block::Paragraph(text) | Block::Quote(text) => wrapped += &format!("{text}\n"),
                Block::Lines(text) => as_it_is += &format!("{text}\n"),
                Block::Table(_) => {}
            }
        }
        [wrapped, as_it_is]
    }
}
