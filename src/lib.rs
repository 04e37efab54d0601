//! Rebound stores every webhook that Resend sends, and suppresses addresses that must not get email.
//!
//! ```text
//!   Resend ──▶ receive ──▶ events table ──stream──▶ protect ──▶ brakes, alerts
//!                 │                                    │ queue
//!                 ▼                                    ▼
//!            suppressions ◀── consent               engage ──▶ decisions ──agenda──▶ act ──▶ Resend
//! ```
//!
//! The use cases, one for each function. None of them imports another one:
//! - [`receive`]: one webhook, from the HTTP request to the stored row and the response.
//! - [`protect`]: the effects of stored events, and the tasks that are due.
//! - [`engage`]: verdicts on opens and clicks, and decisions.
//! - [`consent`]: opt-outs through signed links.
//! - [`act`]: follow-ups that are sent, only on request.
//!
//! The modules that call AWS, Claude or Resend, or describe how:
//! - [`config`]: settings from environment variables.
//! - [`metrics`]: measured values, for CloudWatch.
//! - [`store`]: the items of each DynamoDB table, and the writes that keep them correct.
//! - [`claude`]: Claude's Messages API.
//! - [`aws`]: SDK clients, the public URLs, the stream, the queue, the topics, secrets.
//! - [`web`]: HTTP clients for everything that is not AWS.
//! - [`logging`]: structured log lines.
//!
//! Pure code, except for Resend's client in [`resend::api`]:
//! - [`message`]: alerts and decisions, as they are published.
//! - [`policy`]: the meaning of an event for its recipients and its campaign; every limit.
//! - [`resend`]: signatures, events, addresses and campaigns, as Resend sends them.
//! - [`time`]: times in integer milliseconds.
//!
//! `scripts/arrows.py` holds which module may import which. Everything that is not the product is in packages of its
//! own, in `crates/` and `benches/`.

pub mod act;
pub mod aws;
pub mod claude;
pub mod config;
pub mod consent;
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
pub mod web;
