//! The characters of a list: UTF-8 is read unchanged, every other encoding is converted to UTF-8 while it is read.
//!
//! A mark at the beginning of a file says which encoding it is in. UTF-16 without a mark shows by its zeros. A line that is not UTF-8 is
//! read as Windows-1252, which is what old spreadsheets write, and which has all of Latin-1; `--encoding` names another.

use std::borrow::Cow;
use std::io::{BufRead, BufReader, Read};

pub use encoding_rs::Encoding;
use encoding_rs::{UTF_16BE, UTF_16LE, WINDOWS_1252};
use encoding_rs_io::DecodeReaderBytesBuilder;

/// The character in place of bytes that are invalid in the encoding.
pub(super) const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;

/// Finds an encoding by a name that web pages know it by, such as `windows-1250` or `shift_jis`
/// (<https://encoding.spec.whatwg.org/#names-and-labels>).
///
/// # Errors
/// There is none of that name.
pub fn named(label: &str) -> Result<&'static Encoding, String> {
    Encoding::for_label(label.as_bytes()).ok_or_else(|| {
        "there is no encoding of that name; some are utf-8, utf-16le, windows-1252, windows-1250, shift_jis".to_owned()
    })
}

/// Finds the encoding of a file by how it begins. `None`: each line says for itself.
pub(super) fn of_head(head: &[u8]) -> Option<&'static Encoding> {
    if let Some((encoding, _)) = Encoding::for_bom(head) {
        return Some(encoding);
    }
    // Most characters of a list are ASCII: in UTF-16 one byte of each is zero.
    let zeros = |from: usize| head.iter().skip(from).step_by(2).filter(|byte| **byte == 0).count() * 4;
    if zeros(1) > head.len() {
        return Some(UTF_16LE);
    }
    (zeros(0) > head.len()).then_some(UTF_16BE)
}

/// A reader of the same characters in UTF-8. With `None`, each line is read unchanged.
pub(super) fn utf8<'a>(from: impl Read + 'a, encoding: Option<&'static Encoding>) -> Box<dyn BufRead + 'a> {
    match encoding {
        None => Box::new(BufReader::new(from)),
        Some(_) => {
            Box::new(BufReader::new(DecodeReaderBytesBuilder::new().encoding(encoding).strip_bom(true).build(from)))
        }
    }
}

/// The text of a line, and whether its encoding was guessed.
pub(super) fn text(line: Vec<u8>) -> (String, bool) {
    match String::from_utf8(line) {
        Ok(text) => (text, false),
        Err(error) => {
            let (text, _) = WINDOWS_1252.decode_without_bom_handling(error.as_bytes());
            (Cow::into_owned(text), true)
        }
    }
}

#[cfg(test)]
mod tests {
    use encoding_rs::UTF_8;

    use super::*;

    #[test]
    fn an_encoding_is_known_by_its_mark_or_by_its_zeros() {
        let le: Vec<u8> = "email\r\nann@example.com".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let be: Vec<u8> = "email\r\nann@example.com".encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!((of_head(&le), of_head(&be)), (Some(UTF_16LE), Some(UTF_16BE)));
        assert_eq!(of_head(&[b"\xff\xfe".to_vec(), le].concat()), Some(UTF_16LE));
        assert_eq!(of_head(&[b"\xfe\xff".to_vec(), be].concat()), Some(UTF_16BE));
        assert_eq!((of_head(b"\xef\xbb\xbfemail"), of_head(b"email,name"), of_head(b"")), (Some(UTF_8), None, None));
        assert_eq!(of_head(b"ann\x00@example.com"), None);
    }

    #[test]
    fn a_line_that_is_not_utf_8_is_windows_1252() {
        assert_eq!(text(b"caf\xe9 \x80".to_vec()), ("café €".to_owned(), true));
        assert_eq!(text("café".as_bytes().to_vec()), ("café".to_owned(), false));
    }
}
