//! Rebound takes every webhook that Resend sends, makes it durable, and stops mail to addresses that must not get any.
//!
//! ```text
//!   Resend ──▶ receive ──▶ events table ──stream──▶ protect ──▶ alerts, brakes
//!                └▶ suppressions                     └─queue──▶ engage ──▶ decisions
//! ```
//!
//! The use cases, one for each function, read top to bottom as the story:
//! - [`receive`]: one webhook, from the HTTP request to the stored row and the answer.
//! - [`protect`]: what follows from stored events: counters, brakes, alerts; and what is due.
//! - [`engage`]: who opened or clicked, and what to do about it.
//!
//! The edges:
//! - [`config`]: the environment variables.
//! - [`metrics`]: what is measured, for CloudWatch.
//! - [`store`]: DynamoDB: the contents of each table, and how they stay right.
//! - [`claude`]: the Messages API.
//! - [`aws`]: everything else of AWS: clients, requests, the stream, topics, the queue, secrets.
//! - [`logging`]: structured lines on standard output.
//!
//! Pure, without I/O:
//! - [`message`]: alerts and decisions, as they are published.
//! - [`policy`]: the meaning of an event, for its recipients and for its campaign.
//! - [`resend`]: signatures, events, addresses and campaigns, as Resend sends them.
//! - [`time`]: moments in integer milliseconds.
//!
//! A module names only modules that stand below it in this list. `scripts/arrows.py` has the rules, and `make lint` checks them. Everything
//! that is not the product is in packages of its own, in `crates/` and `benches/`.

pub mod aws;
pub mod claude;
pub mod config;
pub mod engage;
pub mod logging;
pub mod message;
pub mod metrics;
pub mod policy;
pub mod protect;
pub mod receive;
pub mod resend;
pub mod store;
pub mod time;
