//! What each fuzz target does with its bytes, and what must hold whatever they are.
//!
//! These are plain functions, so that `make fuzz` can hand them what libFuzzer makes up, and `cargo test` what was found before.
//! One panics where something doesn't hold. None goes by the clock or the network: the same bytes always do the same.
//!
//! | target | an input is | what must hold |
//! | --- | --- | --- |
//! | `signature` | headers and a body | accepted if and only if signed and recent; no error tells the right signature |
//! | `event` | the body of a signed message | there is a row for it that DynamoDB can hold, with the body to the byte |
//! | `address` | what stands for an address | what is read is a key, and the key of a key is itself |
//! | `envelope` | what the function URL hands over | an answer of the contract; a 200 only if it is stored |
//! | `stream` | a batch of the events table's stream | each record is done with, or reported by its own number |
//! | `answer` | an answer of Claude's | refused, or within every bound: no address, no other's link, no length too great |

pub mod address;
pub mod answer;
mod aws;
pub mod envelope;
pub mod event;
mod second_look;
pub mod signature;
pub mod stream;

use rebound::store::Item;

/// One target: its bytes are one input.
pub type Body = fn(&[u8]);

/// Every target, by its name, which is also that of its folder in `corpus/`.
pub const ALL: [(&str, Body); 6] = [
    ("address", address::run),
    ("answer", answer::run),
    ("envelope", envelope::run),
    ("event", event::run),
    ("signature", signature::run),
    ("stream", stream::run),
];

/// A signing secret of nobody's.
const SECRET: &str = "whsec_cmVib3VuZC1sb2NhbC1zaWduaW5nLXNlY3JldA==";

/// The moment at which everything happens here, in milliseconds: 2026-11-20T09:00:10Z.
const NOW: i64 = 1_795_165_210_000;

/// The bytes in so many parts, which line breaks part. Whatever is missing is empty; the last part may hold line breaks.
fn lines<const PARTS: usize>(bytes: &[u8]) -> [&[u8]; PARTS] {
    let mut parts = bytes.splitn(PARTS, |byte| *byte == b'\n');
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}

/// Bytes as text, as far as they are any.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// An attribute that is text; empty if it is not there.
fn string<'a>(item: &'a Item, attribute: &str) -> &'a str {
    item.get(attribute).and_then(|value| value.as_s().ok()).map_or("", String::as_str)
}
