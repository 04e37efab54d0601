//! Follow-ups: the places among a recipient's follow-ups, and the row of each follow-up that Rebound sends.
//!
//! - `slots`: one item of the recipients table for each recipient, `fact` = `followups`.
//! - `row`: a follow-up's row in its email's partition of the events table, `followup#<id>`, and its agenda entry.
//! - `write`: each transition, one transaction on the row's `version`, with the entry, the alert and the place.
//! - `look`: the last look, the transaction with which a try begins.
//! - `switch`: what a person has paused.
//!
//! The states are drawn in [`sending`](crate::policy::followup::sending).

mod look;
mod read;
mod row;
mod slots;
mod switch;
mod write;

pub use self::look::{LastLook, TryResult};
pub use self::read::FollowupEntry;
pub use self::row::{FollowupRow, followup_key};
pub use self::slots::{FollowupFacts, FollowupSlot, Followups, read_facts};
pub use self::switch::{Switch, SwitchOf};
pub use self::write::{FollowupWrite, NewFollowup};
use super::client::RetryClient;
use crate::aws::tables::TableNames;

/// The follow-ups that Rebound sends.
#[derive(Clone, Debug)]
pub struct FollowupStore {
    calls: RetryClient,
    tables: TableNames,
    /// Name of the stack, for the commands in alerts.
    stack: Option<String>,
}

impl FollowupStore {
    /// Creates a handle for these tables.
    pub const fn new(calls: RetryClient, tables: TableNames) -> Self {
        Self { calls, tables, stack: None }
    }

    /// Sets the name of the stack, for the commands in alerts.
    #[must_use]
    pub fn with_stack(self, stack: Option<&str>) -> Self {
        Self { stack: stack.map(str::to_owned), ..self }
    }
}
