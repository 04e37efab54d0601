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
//! Pure, without I/O:
//! - [`resend`]: what Resend sends: signatures, events, addresses, campaigns.
//! - [`policy`]: what an event means, for its recipients and for its campaign.
//! - [`message`]: what people and programs are told: alerts and decisions, in which words.
//! - [`time`]: moments in integer milliseconds.
//!
//! The edges:
//! - [`store`]: DynamoDB: what each table holds, and how it stays right.
//! - [`aws`]: everything else of AWS: clients, requests, the stream, topics, the queue, secrets.
//! - [`claude`]: the Messages API.
//! - [`config`]: the environment variables.
//! - [`metrics`]: what is measured, for CloudWatch.
//! - [`logging`]: structured lines on standard output.
//!
//! An arrow between them points only down this list; `scripts/arrows.py` has the rules, and `make lint` holds them. What is no part of the
//! product is in packages of its own, in `crates/` and `benches/`.

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
