//! Rebound stores every webhook that Resend sends, and suppresses addresses that must not get email.

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
