//! Ids that are made of what they are about: the same whenever they are made again.

use sha2::{Digest, Sha256};

/// A hash of these parts, in 24 digits.
pub fn short_hash(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        // With its length before it, so that ["a", "bc"] and ["ab", "c"] differ.
        hash.update(part.len().to_be_bytes());
        hash.update(part.as_bytes());
    }
    format!("{:.24}", hex::encode(hash.finalize()))
}
