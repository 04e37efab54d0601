//! What is remembered so that it counts once.

use std::collections::{BTreeMap, BTreeSet};

use crate::campaign::Cohort;
use crate::policy::counting::{Count, Counter, MessageHash, Once};
use crate::store::{Item, as_number};
use crate::time::UnixMillis;

/// Something that is remembered so that it counts once, and what there is to remember.
pub(super) enum Memory {
    Ledger { cohort: Cohort, messages: BTreeMap<MessageHash, Counter>, expires_at: UnixMillis },
    Happening { counter: Counter, at: UnixMillis, cohort: Cohort, expires_at: UnixMillis },
}

/// What there is to remember, by the sort key under which it is.
pub(super) fn memories(counts: &[Count]) -> BTreeMap<String, Memory> {
    let mut memories: BTreeMap<String, Memory> = BTreeMap::new();
    for count in counts {
        let (key, memory) = match &count.once {
            Once::Message { second, hash } => (
                format!("ledger#{}#{second}", count.cohort),
                Memory::Ledger {
                    cohort: count.cohort,
                    messages: BTreeMap::from([(*hash, count.counter)]),
                    expires_at: count.expires_at,
                },
            ),
            Once::Happening { key, at } => {
                let (counter, at, cohort) = (count.counter, *at, count.cohort);
                (key.clone(), Memory::Happening { counter, at, cohort, expires_at: count.expires_at })
            }
        };
        match memories.remove(&key) {
            Some(before) => memories.insert(key, before.and(memory)),
            None => memories.insert(key, memory),
        };
    }
    memories
}

impl Memory {
    /// Both, where they are of the same key.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (
                Self::Ledger { cohort, mut messages, expires_at },
                Self::Ledger { messages: more, expires_at: later, .. },
            ) => {
                messages.extend(more);
                Self::Ledger { cohort, messages, expires_at: expires_at.max(later) }
            }
            (
                Self::Happening { counter, at, cohort, expires_at },
                Self::Happening { at: another, cohort: other, expires_at: later, .. },
            ) => Self::Happening {
                counter,
                at: at.min(another),
                cohort: cohort.min(other),
                expires_at: expires_at.max(later),
            },
            (first, _) => first,
        }
    }
}

/// The messages that a ledger row holds.
pub(super) fn ledger(item: &Item) -> BTreeSet<MessageHash> {
    let bytes = item.get("messages").and_then(|value| value.as_b().ok()).map(|blob| blob.as_ref()).unwrap_or_default();
    bytes.as_chunks::<8>().0.iter().map(|hash| MessageHash(*hash)).collect()
}

/// Since when a happening is counted, and in which cohort.
pub(super) fn happening(item: &Item) -> Option<(UnixMillis, Cohort)> {
    let cohort = Cohort::parse(item.get("counted_in")?.as_s().ok()?)?;
    Some((UnixMillis(as_number(item.get("at")?)?), cohort))
}
