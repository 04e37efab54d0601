//! The operator's side of Rebound: everything behind the command `rebound` that is not printing.
//!
//! - [`operate`]: what the commands do.
//! - [`resend_api`]: Resend's API, as far as they ask it.

pub mod operate;
pub mod resend_api;
