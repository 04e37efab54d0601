//! Normalized forms of a text, as a mail program may show it: look-alikes of ASCII punctuation and letters become
//! ASCII, and percent-encoding is decoded. They serve only to find hidden content. The sent text itself stays
//! unchanged.

use percent_encoding::percent_decode_str;

/// Maximum number of times that percent-encoding is decoded. No honest text is encoded twice.
const MAX_DECODINGS: usize = 4;

/// Returns the text normalized, and then decoded and normalized again until nothing changes. Every one of these forms
/// must pass the checks. Returns `None` if the text is encoded too many times.
pub(crate) fn views(text: &str) -> Option<Vec<String>> {
    let mut last = fold(text);
    let mut views = Vec::new();
    for _ in 0..=MAX_DECODINGS {
        let next = fold(&percent_decode_str(&last).decode_utf8_lossy());
        if next == last {
            views.push(last);
            return Some(views);
        }
        views.push(std::mem::replace(&mut last, next));
    }
    None
}

/// Replaces compatibility characters that browsers and mail programs read as ASCII
/// (<https://www.unicode.org/reports/tr46/#IDNA_Mapping_Table>). Backslashes become slashes, as in browsers
/// (<https://url.spec.whatwg.org/#relative-slash-state>).
fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut before = None;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        folded.push(match c {
            // Between two ideographs this character ends a sentence; elsewhere it may be the dot of a host.
            '\u{3002}' | '\u{FF61}' if sentence_ends(before, rest.peek().copied()) => ' ',
            '\u{3002}' | '\u{FF61}' | '\u{2024}' | '\u{FE12}' | '\u{FE52}' | '\u{2488}'..='\u{249B}' | '\u{1F100}' => {
                '.'
            }
            '\u{FF3C}' | '\u{FE68}' | '\u{2216}' | '\u{29F5}' | '\u{29F9}' | '\\' => '/',
            '\u{2044}' | '\u{2215}' | '\u{29F8}' | '\u{2100}' | '\u{2101}' | '\u{2105}' | '\u{2106}' => '/',
            '\u{2236}' | '\u{A789}' | '\u{02D0}' | '\u{FE13}' | '\u{FE55}' => ':',
            '\u{FE6B}' => '@',
            '\u{FE6A}' | '\u{066A}' => '%',
            '\u{FE60}' => '&',
            '\u{FE5F}' => '#',
            '\u{FE64}' => '<',
            '\u{FE14}' | '\u{FE54}' => ';',
            '\u{FF01}'..='\u{FF5E}' => char::from_u32(c as u32 - 0xFF01 + 0x21).unwrap_or(c),
            c => c,
        });
        before = Some(c);
    }
    folded
}

fn sentence_ends(before: Option<char>, after: Option<char>) -> bool {
    before.is_some_and(is_ideograph) && after.is_none_or(|c| is_ideograph(c) || c.is_whitespace())
}

/// Returns true for Han, kana and hangul.
fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{3005}'..='\u{3007}' | '\u{3040}'..='\u{30FF}' | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{AC00}'..='\u{D7AF}')
}
