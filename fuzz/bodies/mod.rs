//! The fuzz targets, and the properties that hold for every input.
//!
//! These are plain functions, so that `make fuzz` can run them with libFuzzer's inputs, and `cargo test` with the
//! inputs found before. A function panics if a property does not hold. None uses the clock or the network: the same
//! bytes always have the same result.
//!
//! | target | input | property |
//! | --- | --- | --- |
//! | `signature` | headers and a body | accepted if and only if signed and recent; no error contains the valid signature |
//! | `event` | the body of a signed webhook | it has a row that DynamoDB can hold, with the body byte for byte |
//! | `address` | text in place of an address | a parsed address is a key, and the key of a key is itself |
//! | `envelope` | an event of the function URL | a response of the contract; a 200 only if it is stored |
//! | `link` | an address, an email's id, a token | it holds if and only if signed; it reads as what was signed |
//! | `stream` | a batch of the events table's stream | each record is done, or reported by its own number |
//! | `answer` | an answer of Claude | rejected, or within every limit: no address, no foreign link, no text too long |

pub mod address;
pub mod answer;
mod aws;
pub mod envelope;
pub mod event;
pub mod link;
mod second_look;
pub mod signature;
pub mod stream;

use rebound::store::Item;

/// One target, run with the bytes of one input.
pub type Body = fn(&[u8]);

/// Every target, by its name, which is also the name of its folder in `corpus/`.
pub const ALL: [(&str, Body); 7] = [
    ("address", address::run),
    ("answer", answer::run),
    ("envelope", envelope::run),
    ("event", event::run),
    ("link", link::run),
    ("signature", signature::run),
    ("stream", stream::run),
];

/// A signing secret that is used nowhere else.
const SECRET: &str = "whsec_cmVib3VuZC1sb2NhbC1zaWduaW5nLXNlY3JldA==";

/// The time of everything here, in milliseconds: 2026-11-20T09:00:10Z.
const NOW: i64 = 1_795_165_210_000;

/// Splits the bytes into lines. Missing ones are empty; the last may contain line breaks.
fn lines<const PARTS: usize>(bytes: &[u8]) -> [&[u8]; PARTS] {
    let mut parts = bytes.splitn(PARTS, |byte| *byte == b'\n');
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}

/// Bytes as text, with invalid ones replaced.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Returns a text attribute, or an empty text if there is none.
fn string<'a>(item: &'a Item, attribute: &str) -> &'a str {
    item.get(attribute).and_then(|value| value.as_s().ok()).map_or("", String::as_str)
}
