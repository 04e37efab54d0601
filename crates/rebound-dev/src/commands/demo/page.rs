//! What the demo shows, one under another: paragraphs and tables. Nothing of it goes out in another way, so that a test sees all of it.

use crate::output::{self, Table};

enum Block {
    Paragraph(String),
    /// A text of several lines that others get, indented and wrapped.
    Quote(String),
    /// Lines that stay as they are.
    Lines(String),
    Table(Table),
}

/// Everything that is shown.
#[derive(Default)]
pub(super) struct Page {
    blocks: Vec<Block>,
}

impl Page {
    /// Adds a paragraph, which is wrapped where it has to be.
    pub(super) fn say(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Paragraph(text.into()));
    }

    /// Adds a text that others get, and an empty line.
    pub(super) fn quote(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Quote(text.into()));
        self.lines("");
    }

    /// Adds lines as they are.
    pub(super) fn lines(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Lines(text.into()));
    }

    /// Adds a table, and an empty line.
    pub(super) fn table(&mut self, table: Table) {
        self.blocks.push(Block::Table(table));
        self.lines("");
    }

    /// Prints all of it.
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

    /// All that is not in a table: what may be wrapped, and what is printed as it is. For tests.
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
