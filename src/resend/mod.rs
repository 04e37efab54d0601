//! Webhooks of Resend, parsed leniently, and a client for its API.
//!
//! - [`signature`]: Standard Webhooks verification.
//! - [`signed`]: signed webhooks, as Svix sends them.
//! - [`event`]: events and their fields.
//! - [`recipient`]: addresses in their normalized form, the key of all data about a recipient.
//! - [`campaign`]: an email's campaign, and the hour of its creation.
//! - [`api`]: a client for the part of the API that the functions call.
//! - [`json`]: JSON text as Resend writes it.

pub mod api;
pub mod campaign;
pub mod event;
pub mod json;
pub mod recipient;
pub mod signature;
pub mod signed;
