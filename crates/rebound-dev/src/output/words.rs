//! Text wrapping by the width on a terminal.

use unicode_width::UnicodeWidthStr;

/// Maximum length of a word that is never broken. An address may have 320 characters, too many for a table.
pub(super) const LONGEST_WORD: usize = 40;

/// The characters after which a long word is broken.
const SEAMS: [char; 8] = ['@', '.', '-', '_', '/', '#', ',', '='];

/// Number of columns of a text on a terminal.
pub(super) fn width_of(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// Width of the longest word of a text, at most that of a word that is never broken.
pub(super) fn longest_word(text: &str) -> usize {
    text.split(' ').map(|word| width_of(word).min(LONGEST_WORD)).max().unwrap_or(0)
}

/// A text, filled up with spaces to this width.
pub(super) fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(width_of(text))))
}

/// The lines of a text, each at most `width` wide, wrapped between words. Only a word that is wider than a line is broken.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    text.lines().flat_map(|line| wrap_line(line, width.max(1))).collect()
}

fn wrap_line(text: &str, width: usize) -> Vec<String> {
    if width_of(text) <= width {
        return vec![text.to_owned()];
    }
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        if width_of(&line) + usize::from(!line.is_empty()) + width_of(word) <= width {
            line.push_str(if line.is_empty() { "" } else { " " });
            line.push_str(word);
            continue;
        }
        if !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        let mut rest = word;
        while width_of(rest) > width && !rest.is_empty() {
            let (begin, end) = rest.split_at(seam(rest, width));
            lines.push(begin.to_owned());
            rest = end;
        }
        line.push_str(rest);
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
}

/// The position at which a long word is broken: after the last fitting seam in its second half, else at the end of the line.
fn seam(word: &str, width: usize) -> usize {
    let ends = word.char_indices().map(|(at, c)| (at + c.len_utf8(), c));
    let fitting: Vec<(usize, char)> =
        ends.take_while(|(end, _)| word.get(..*end).is_some_and(|begin| width_of(begin) <= width)).collect();
    let full = fitting.last().map(|(end, _)| *end);
    let at_seam = fitting.iter().rev().find(|(end, c)| SEAMS.contains(c) && end * 2 > full.unwrap_or(0));
    // A character that is wider than the line gets a line of its own.
    at_seam.map(|(end, _)| *end).or(full).unwrap_or_else(|| word.chars().next().map_or(0, char::len_utf8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_wrapped_between_words() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("one\ntwo three", 20), ["one", "two three"]);
        assert_eq!(wrap("漢字漢字 漢字", 8), ["漢字漢字", "漢字"], "two columns each");
        assert_eq!(wrap("", 8), Vec::<String>::new());
    }

    #[test]
    fn a_word_wider_than_the_line_is_broken_at_a_seam() {
        let address = format!("somebody.with.a.long.name@{}.example.com", "d".repeat(30));
        let lines = wrap(&address, 30);
        assert!(lines.iter().all(|line| width_of(line) <= 30), "{lines:?}");
        assert_eq!(lines.concat(), address);
        assert_eq!(lines[0], "somebody.with.a.long.name@");
        assert_eq!(wrap("字", 1), ["字"], "and it ends");
    }
}
