//! Rebound takes every webhook that Resend sends, makes it durable, and stops mail to addresses that must not get any.
//!
//! # Layout
//!
//! The use cases, read top to bottom as the story:
//! - [`receive`]: one webhook, from the HTTP request to the stored row and the answer.
//! - [`protect`]: what follows from stored events: counters, brakes, alerts; and what is due.
//! - [`engage`]: who opened or clicked, and what to do about it.
//!
//! What it is made of, pure:
//! - [`signature`]: Standard Webhooks verification.
//! - [`event`]: Resend's events, read leniently.
//! - [`recipient`]: an address in the one spelling that everything is keyed by.
//! - [`campaign`]: what an email belongs to, for counting.
//! - [`policy`]: what an event means, for its recipients and for its campaign.
//! - [`alert`]: what people are told, and in which words.
//! - [`decision`]: what was decided about a person, and what is published of it.
//! - [`text`]: texts of outsiders, made safe to show.
//! - [`time`]: moments in integer milliseconds.
//! - [`money`]: US dollars in billionths.
//!
//! The edges:
//! - [`http`]: the function URL's request and response.
//! - [`stream`]: what Lambda hands over from the events table's stream.
//! - [`store`]: DynamoDB: what each table holds, and how it stays right.
//! - [`mod@publish`]: the topics of alerts and of decisions.
//! - [`mod@queue`]: the queue that `engage` reads.
//! - [`claude`]: the Messages API.
//! - [`secrets`]: where the signing secret comes from.
//! - [`config`]: the environment variables.
//! - [`aws`]: SDK clients for Lambda.
//! - [`breaker`]: a service that does not answer is not asked twice in one invocation.
//! - [`web`]: an HTTP client for whatever is not AWS.
//! - [`logging`]: structured lines on standard output.
//! - [`metrics`]: what is measured, for CloudWatch.
//!
//! And, behind the feature `cli`:
//! - `operate`: what the operator's command does.
//! - `resend`: Resend's API.
//! - `local`: the embedded AWS that `rebound dev`, the demo and the tests run on.

pub mod alert;
pub mod aws;
pub mod breaker;
pub mod campaign;
pub mod claude;
pub mod config;
pub mod decision;
pub mod engage;
pub mod event;
pub mod http;
mod ids;
mod json;
#[cfg(feature = "cli")]
pub mod local;
pub mod logging;
pub mod metrics;
pub mod money;
#[cfg(feature = "cli")]
pub mod operate;
pub mod policy;
pub mod protect;
pub mod publish;
pub mod queue;
pub mod receive;
pub mod recipient;
#[cfg(feature = "cli")]
pub mod resend;
pub mod secrets;
pub mod signature;
pub mod store;
pub mod stream;
pub mod text;
pub mod time;
pub mod web;
