//! Rebound takes every webhook that Resend sends, makes it durable, and stops mail to addresses that must not get any.
//!
//! # Layout
//!
//! The use case, read top to bottom as the story:
//! - [`receive`]: one webhook, from the HTTP request to the stored row and the answer.
//!
//! What it is made of, pure:
//! - [`signature`]: Standard Webhooks verification.
//! - [`event`]: Resend's events, read leniently.
//! - [`recipient`]: a mail address in the one form that everything is keyed by.
//! - [`policy`]: what an event means for its recipients.
//! - [`time`]: moments in integer milliseconds.
//!
//! The edges:
//! - [`http`]: the function URL's request and response.
//! - [`store`]: DynamoDB, and the one write.
//! - [`secrets`]: where the signing secret comes from.
//! - [`config`]: the environment variables.
//! - [`aws`]: SDK clients for Lambda.
//! - [`logging`]: structured lines on standard output.
//!
//! And, behind the feature `cli`, `local`: the embedded AWS that `rebound dev`, the demo and the tests run on.

pub mod aws;
pub mod config;
pub mod event;
pub mod http;
#[cfg(feature = "cli")]
pub mod local;
pub mod logging;
pub mod policy;
pub mod receive;
pub mod recipient;
pub mod secrets;
pub mod signature;
pub mod store;
pub mod time;
