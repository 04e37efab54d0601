//! The flow, through HTTP and Lambda's events, on the embedded DynamoDB, with real signatures.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test that fails, fails"
)]

mod binaries;
mod claude_stub;
mod concurrency;
mod contract;
mod corpora;
mod counting_cost;
mod engage;
mod engage_verdicts;
mod fault_proxy;
mod faults;
mod feeder;
mod journal;
mod leniency;
mod official;
mod one_call;
mod operate;
mod order;
mod parts;
mod poller;
mod protect;
mod recorder;
mod resend;
mod second_engine;
mod secret_rotation;
mod signature_cases;
mod signature_peer;
mod sns;
mod sqs;
mod stream_samples;
mod support;
mod template;
mod versions;
