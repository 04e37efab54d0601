//! The tables that may contain an address.

use crate::operate::target::Target;

/// The tables' names.
#[derive(Clone, Debug)]
pub struct ForgetTables {
    /// `EVENTS_TABLE`.
    pub events: String,
    /// `SUPPRESSIONS_TABLE`.
    pub suppressions: String,
    /// `CAMPAIGNS_TABLE`.
    pub campaigns: String,
    /// `RECIPIENTS_TABLE`.
    pub recipients: String,
    /// `AGENDA_TABLE`.
    pub agenda: String,
}

impl ForgetTables {
    /// The tables of a target.
    pub fn of(target: &Target) -> Self {
        let table = |variable: &str| target.table(variable).to_owned();
        Self {
            events: table("EVENTS_TABLE"),
            suppressions: table("SUPPRESSIONS_TABLE"),
            campaigns: table("CAMPAIGNS_TABLE"),
            recipients: table("RECIPIENTS_TABLE"),
            agenda: table("AGENDA_TABLE"),
        }
    }
}
