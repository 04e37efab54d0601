//! What Resend sends, read leniently.
//!
//! - [`signature`]: Standard Webhooks verification.
//! - [`signed`]: messages as Svix sends them.
//! - [`event`]: the events.
//! - [`recipient`]: an address in the one spelling that everything is keyed by.
//! - [`campaign`]: what an email belongs to, for counting.
//! - [`json`]: JSON text as Resend writes it.

pub mod campaign;
pub mod event;
pub mod json;
pub mod recipient;
pub mod signature;
pub mod signed;
