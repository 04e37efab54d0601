//! The operator's commands, on the embedded AWS.

mod campaigns;
mod check;
mod connect;
mod doctor;
mod forget;
mod metrics;
mod replay;
mod simulate;
mod snippets;
mod suppressions;
mod timeline;
