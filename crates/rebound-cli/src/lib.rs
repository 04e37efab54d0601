//! The operator's side of Rebound: everything behind the command `rebound`, except printing.
//!
//! - [`operate`]: what the commands do.
//! - [`resend_api`]: the calls of Resend's API that the commands make.

pub mod operate;
pub mod resend_api;
