//! A text as whoever shows it may come to read it: look-alikes of ASCII's punctuation and letters made ASCII, and percent-encoding
//! undone. Only to look for what is hidden in it: what is sent is the text itself.

use percent_encoding::percent_decode_str;

/// How many times percent-encoding is undone. No honest text is encoded twice.
const MOST_DECODINGS: usize = 4;

/// The text folded, then decoded and folded again for as long as that changes it; every one of them has to pass. `None` where it
/// is encoded too many times over.
pub(crate) fn views(text: &str) -> Option<Vec<String>> {
    let mut last = fold(text);
    let mut views = Vec::new();
    for _ in 0..=MOST_DECODINGS {
        let next = fold(&percent_decode_str(&last).decode_utf8_lossy());
        if next == last {
            views.push(last);
            return Some(views);
        }
        views.push(std::mem::replace(&mut last, next));
    }
    None
}

/// Compatibility characters that browsers and mail programs read as ASCII, as ASCII
/// (<https://www.unicode.org/reports/tr46/#IDNA_Mapping_Table>); backslashes as slashes, as browsers have it
/// (<https://url.spec.whatwg.org/#relative-slash-state>).
fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut before = None;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        folded.push(match c {
            // Between two ideographs it ends a sentence; anywhere else it may be the dot of a host.
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

/// Han, kana and hangul.
fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{3005}'..='\u{3007}' | '\u{3040}'..='\u{30FF}' | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{AC00}'..='\u{D7AF}')
}
