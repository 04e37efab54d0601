//! The names of the tables, as the functions get them.

/// The names of the five tables of a stack. What each table is, `store::tables` says.
#[derive(Clone, Debug)]
pub struct TableNames {
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

impl TableNames {
    /// Reads the names. `value_of` looks up one variable.
    ///
    /// # Errors
    /// The first error of `value_of`.
    pub fn read<E>(value_of: impl Fn(&'static str) -> Result<String, E>) -> Result<Self, E> {
        Ok(Self {
            events: value_of("EVENTS_TABLE")?,
            suppressions: value_of("SUPPRESSIONS_TABLE")?,
            campaigns: value_of("CAMPAIGNS_TABLE")?,
            recipients: value_of("RECIPIENTS_TABLE")?,
            agenda: value_of("AGENDA_TABLE")?,
        })
    }
}
