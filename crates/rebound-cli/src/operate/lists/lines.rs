//! The lines of a file, one after another, in constant memory: each with its number, however it ends (LF, CRLF or CR alone).

use std::collections::VecDeque;
use std::io::{self, BufRead};

use super::encoding;

/// The longest line that is read, in bytes. What is longer is no entry of a list.
pub(super) const MAX_LINE: usize = 64 * 1024;

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TextLine {
    /// Its number, from 1.
    pub(super) number: u64,
    /// Its text, without its end; or why it can't be read.
    pub(super) text: Result<String, &'static str>,
    /// True if the line was not UTF-8, and was read as Windows-1252.
    pub(super) is_guessed: bool,
}

impl TextLine {
    /// The text, if it can be read.
    pub(super) fn readable(&self) -> Option<&str> {
        self.text.as_deref().ok()
    }
}

/// Reads lines.
#[derive(Debug)]
pub(super) struct Lines<R> {
    from: R,
    read: u64,
    ends_with_cr: bool,
    pushed_back: VecDeque<TextLine>,
    guessed: Guessed,
}

/// The lines that were not UTF-8, and were read as Windows-1252.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Guessed {
    /// Number of these lines.
    pub lines: u64,
    /// The number of the first.
    pub first: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(from: R) -> Self {
        Self { from, read: 0, ends_with_cr: false, pushed_back: VecDeque::new(), guessed: Guessed::default() }
    }

    /// Returns the next line, or `None` at the end.
    ///
    /// # Errors
    /// Reading the list failed.
    pub(super) fn next(&mut self) -> io::Result<Option<TextLine>> {
        match self.pushed_back.pop_front() {
            Some(line) => Ok(Some(line)),
            None => self.read_line(),
        }
    }

    /// Those whose encoding was guessed, of all that were read.
    pub(super) fn guessed(&self) -> Guessed {
        self.guessed
    }

    /// Lets these lines come next, in this order.
    pub(super) fn push_back(&mut self, lines: impl IntoIterator<Item = TextLine, IntoIter: DoubleEndedIterator>) {
        for line in lines.into_iter().rev() {
            self.pushed_back.push_front(line);
        }
    }

    fn read_line(&mut self) -> io::Result<Option<TextLine>> {
        let mut bytes = Vec::new();
        let (mut is_too_long, mut is_begun) = (false, false);
        loop {
            let buffer = self.from.fill_buf()?;
            // The LF of a CRLF ends no second line.
            if self.ends_with_cr && buffer.first() == Some(&b'\n') {
                self.from.consume(1);
                self.ends_with_cr = false;
                continue;
            }
            if buffer.is_empty() && !is_begun {
                return Ok(None);
            }
            self.ends_with_cr = false;
            is_begun = true;
            let end = buffer.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let (part, _) = buffer.split_at(end.unwrap_or(buffer.len()));
            is_too_long |= bytes.len() + part.len() > MAX_LINE;
            if !is_too_long {
                bytes.extend_from_slice(part);
            }
            let is_end = end.is_some() || buffer.is_empty();
            self.ends_with_cr = end.is_some_and(|end| buffer.get(end) == Some(&b'\r'));
            let used = part.len() + usize::from(end.is_some());
            self.from.consume(used);
            if is_end {
                break;
            }
        }
        self.read += 1;
        if is_too_long {
            let text = Err("it has more than 64 KB");
            return Ok(Some(TextLine { number: self.read, text, is_guessed: false }));
        }
        let (text, is_guessed) = encoding::text(bytes);
        if is_guessed {
            let first = if self.guessed.lines == 0 { self.read } else { self.guessed.first };
            self.guessed = Guessed { lines: self.guessed.lines + 1, first };
        }
        // Some programs begin a file with a mark of its encoding.
        let text = if self.read == 1 { text.trim_start_matches('\u{feff}').to_owned() } else { text };
        Ok(Some(TextLine { number: self.read, text: Ok(text), is_guessed }))
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use proptest::prelude::*;

    use super::*;

    fn lines(bytes: &[u8], buffer: usize) -> Vec<TextLine> {
        let mut lines = Lines::new(BufReader::with_capacity(buffer, bytes));
        std::iter::from_fn(|| lines.next().unwrap()).collect()
    }

    #[test]
    fn lines_are_numbered_however_they_end() {
        for buffer in [1, 2, 3, 100] {
            let read = lines("\u{feff}a\r\nb\rc\n\r\nd\r\r\ne".as_bytes(), buffer);
            let texts: Vec<(u64, &str)> = read.iter().map(|line| (line.number, line.readable().unwrap())).collect();
            assert_eq!(texts, [(1, "a"), (2, "b"), (3, "c"), (4, ""), (5, "d"), (6, ""), (7, "e")], "{buffer}");
        }
        assert!(lines(b"", 10).is_empty());
    }

    #[test]
    fn a_line_that_cant_be_read_hides_no_other() {
        let long = [vec![b'x'; MAX_LINE + 1], b"\n\xff\nend".to_vec()].concat();
        let read = lines(&long, 1_000);
        assert!(read[0].text.is_err());
        assert_eq!((read[1].readable(), read[1].is_guessed, read[2].is_guessed), (Some("ÿ"), true, false));
        assert_eq!((read[2].number, read[2].readable()), (3, Some("end")));
    }

    proptest! {
        #[test]
        fn lines_are_the_same_whatever_the_buffer(text in "[ab\r\n]{0,30}", buffer in 1_usize..8) {
            prop_assert_eq!(lines(text.as_bytes(), buffer), lines(text.as_bytes(), 100));
        }
    }
}
