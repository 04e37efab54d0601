//! The operator's commands: everything behind `rebound` except the printing.
//!
//! - [`target`]: what a command acts on: a stack, or `rebound dev` on this machine.
//! - [`mod@scan`]: reading a whole table.
//! - [`mod@check`]: which addresses can receive email.
//! - [`lists`]: addresses from a file.
//! - [`suppressions`]: the suppression list, changed by an operator.
//! - [`followups`]: the follow-ups that Rebound sends.
//! - [`forget`]: erasing everything about an address.
//! - [`timeline`]: the history of an email or of an address.
//! - [`tail`]: webhooks and their effects, live.
//! - [`campaigns`]: the cohorts, rates and brake of a campaign.
//! - [`mod@replay`]: processing stored events again.
//! - [`mod@connect`]: the webhook at Resend, and its secret.
//! - [`doctor`]: the health checks.
//! - [`unsubscribe`]: links with which a recipient stops email.
//! - [`audit`]: the record of changes by operators, as the store keeps it.

pub mod campaigns;
pub mod check;
mod clients;
pub mod connect;
pub mod doctor;
pub mod followups;
pub mod forget;
pub mod lists;
pub mod replay;
pub mod scan;
pub mod suppressions;
pub mod tail;
pub mod target;
pub mod timeline;
pub mod unsubscribe;

pub use rebound::store::audit;
