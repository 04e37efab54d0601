//! The operator's command, on the embedded AWS and the stubs of Resend and Claude.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test that fails, fails"
)]

mod browse;
mod installed;
mod official;
mod operate;
mod programs;
mod resend;
mod second_engine;
#[path = "../../../../tests/support/mod.rs"]
mod support;
mod tables;
