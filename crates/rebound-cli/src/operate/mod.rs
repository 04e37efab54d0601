//! What the operator's command does: everything behind `rebound` that is not printing.
//!
//! - [`place`]: which Rebound is meant: the stack, or the one that `rebound dev` runs on this machine.
//! - [`mod@scan`]: reading a whole table.
//! - [`mod@check`]: may I send?
//! - [`lists`]: addresses from a file.
//! - [`suppressions`]: the list, changed by an operator.
//! - [`forget`]: erasing everything about an address.
//! - [`timeline`]: everything that happened to an email, or to an address.
//! - [`tail`]: what comes in, and what is done about it, live.
//! - [`campaigns`]: what became of a campaign's mail.
//! - [`mod@replay`]: handling stored events again.
//! - [`mod@connect`]: the webhook at Resend, and its secret.
//! - [`doctor`]: whether everything works.
//! - [`audit`]: who changed it, when, and why.

pub mod audit;
pub mod campaigns;
pub mod check;
mod clients;
pub mod connect;
pub mod doctor;
pub mod forget;
pub mod lists;
pub mod place;
pub mod replay;
pub mod scan;
pub mod suppressions;
pub mod tail;
pub mod timeline;
