//! The tables: their names, their keys, and the properties that all readers rely on. `template.yaml` creates them, and
//! a test compares it with this file.

/// A table: its name, its keys, and its properties.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableDefinition {
    /// The environment variable with its name: `EVENTS_TABLE`.
    pub variable: &'static str,
    /// Part of the table's name after the stack's name: `events` in `rebound-events`.
    pub suffix: &'static str,
    /// Name of the partition key. All keys are texts.
    pub partition_key: &'static str,
    /// Name of the sort key, if there is one.
    pub sort_key: Option<&'static str>,
    /// True if its stream must be enabled, with the new rows in it.
    pub has_stream: bool,
    /// True if point-in-time recovery is always on, because its content cannot be restored in another way. Elsewhere a
    /// parameter enables it.
    pub is_always_recoverable: bool,
}

/// The TTL attribute of every table: time after which an item may be deleted, in seconds since 1970.
pub const TTL_ATTRIBUTE: &str = "expires_at";

/// Every webhook, and the verdicts, decisions and alerts made from it.
pub const EVENTS: TableDefinition = TableDefinition {
    variable: "EVENTS_TABLE",
    suffix: "events",
    partition_key: "email_id",
    sort_key: Some("event"),
    has_stream: true,
    is_always_recoverable: false,
};

/// The addresses that must not get email, with the reasons.
pub const SUPPRESSIONS: TableDefinition = TableDefinition {
    variable: "SUPPRESSIONS_TABLE",
    suffix: "suppressions",
    partition_key: "recipient",
    sort_key: None,
    has_stream: false,
    is_always_recoverable: true,
};

/// The counters of campaigns, and their brakes.
pub const CAMPAIGNS: TableDefinition = TableDefinition {
    variable: "CAMPAIGNS_TABLE",
    suffix: "campaigns",
    partition_key: "campaign",
    sort_key: Some("cohort"),
    has_stream: false,
    is_always_recoverable: true,
};

/// Facts about recipients, kept for a limited time.
pub const RECIPIENTS: TableDefinition = TableDefinition {
    variable: "RECIPIENTS_TABLE",
    suffix: "recipients",
    partition_key: "recipient",
    sort_key: Some("fact"),
    has_stream: false,
    is_always_recoverable: false,
};

/// Scheduled tasks.
pub const AGENDA: TableDefinition = TableDefinition {
    variable: "AGENDA_TABLE",
    suffix: "agenda",
    partition_key: "kind",
    sort_key: Some("due"),
    has_stream: false,
    is_always_recoverable: false,
};

/// All tables.
pub const TABLES: [TableDefinition; 5] = [EVENTS, SUPPRESSIONS, CAMPAIGNS, RECIPIENTS, AGENDA];

impl TableDefinition {
    /// The names of its key attributes.
    pub fn keys(&self) -> impl Iterator<Item = &'static str> + use<> {
        [Some(self.partition_key), self.sort_key].into_iter().flatten()
    }

    /// Its name in a stack: `rebound-events`.
    pub fn name_in(&self, stack: &str) -> String {
        format!("{stack}-{}", self.suffix)
    }
}
