//! Runs the body `event` with libFuzzer's bytes.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bodies::event::run(bytes));
