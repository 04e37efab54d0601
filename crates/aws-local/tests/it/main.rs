//! The embedded AWS, called by the real SDKs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test that fails, fails"
)]

mod fault_proxy;
mod feeder;
mod journal;
mod poller;
mod sns;
mod sqs;
mod support;
