//! Ids that are hashes of their subject, and so the same at every repeat.

use sha2::{Digest, Sha256};

/// Returns a hash of these parts, in 24 hex digits.
pub fn short_hash(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        // The length comes first, so that ["a", "bc"] and ["ab", "c"] differ.
        hash.update(part.len().to_be_bytes());
        hash.update(part.as_bytes());
    }
    format!("{:.24}", hex::encode(hash.finalize()))
}
