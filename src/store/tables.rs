//! The tables: what they are called, their keys, and what else everybody who reads them relies on. `template.yaml` creates them; a test
//! holds it against this.

/// A table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// The environment variable with its name: `EVENTS_TABLE`.
    pub variable: &'static str,
    /// What stands after the stack's name in its name: `events` for `rebound-events`.
    pub suffix: &'static str,
    /// The attribute that is its partition key. Keys are texts.
    pub partition_key: &'static str,
    /// The attribute that is its sort key, if it has one.
    pub sort_key: Option<&'static str>,
    /// True if its stream must be on, with the new rows in it.
    pub has_stream: bool,
    /// True if it can be recovered to any second in every stack, and not only where a parameter says so: what is in it can't be had again.
    pub is_always_recoverable: bool,
}

/// The attribute of every table with the second after which an item may be deleted, counted from 1970.
pub const TTL_ATTRIBUTE: &str = "expires_at";

/// Every webhook, and what was made of it.
pub const EVENTS: Table = Table {
    variable: "EVENTS_TABLE",
    suffix: "events",
    partition_key: "email_id",
    sort_key: Some("event"),
    has_stream: true,
    is_always_recoverable: false,
};

/// Who must not get email, and why.
pub const SUPPRESSIONS: Table = Table {
    variable: "SUPPRESSIONS_TABLE",
    suffix: "suppressions",
    partition_key: "recipient",
    sort_key: None,
    has_stream: false,
    is_always_recoverable: true,
};

/// The numbers of campaigns, and their brakes.
pub const CAMPAIGNS: Table = Table {
    variable: "CAMPAIGNS_TABLE",
    suffix: "campaigns",
    partition_key: "campaign",
    sort_key: Some("cohort"),
    has_stream: false,
    is_always_recoverable: true,
};

/// What is remembered of recipients for a while.
pub const RECIPIENTS: Table = Table {
    variable: "RECIPIENTS_TABLE",
    suffix: "recipients",
    partition_key: "recipient",
    sort_key: Some("fact"),
    has_stream: false,
    is_always_recoverable: false,
};

/// What has to be looked at again, and when.
pub const AGENDA: Table = Table {
    variable: "AGENDA_TABLE",
    suffix: "agenda",
    partition_key: "kind",
    sort_key: Some("due"),
    has_stream: false,
    is_always_recoverable: false,
};

/// All of them.
pub const TABLES: [Table; 5] = [EVENTS, SUPPRESSIONS, CAMPAIGNS, RECIPIENTS, AGENDA];

impl Table {
    /// The attributes of its key, which are all text.
    pub fn keys(&self) -> impl Iterator<Item = &'static str> + use<> {
        [Some(self.partition_key), self.sort_key].into_iter().flatten()
    }

    /// Its name in a stack: `rebound-events`.
    pub fn name_in(&self, stack: &str) -> String {
        format!("{stack}-{}", self.suffix)
    }
}
