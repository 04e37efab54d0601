//! The flow, through HTTP and Lambda's events, on the embedded DynamoDB, with real signatures.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test that fails, fails"
)]

mod act;
mod binaries;
mod claude_stub;
mod concurrency;
mod consent;
mod consent_scanners;
mod contract;
mod corpora;
mod engage;
mod engage_verdicts;
mod faults;
mod followups;
mod leniency;
mod makefile;
mod metrics;
mod one_call;
mod order;
mod outbox;
mod parts;
mod poll_embedded;
mod protect;
mod published;
mod roles;
mod secret_rotation;
mod signature_cases;
mod signature_peer;
mod stream_samples;
#[path = "../support/mod.rs"]
mod support;
mod template;
mod topics;
mod versions;
mod words;
