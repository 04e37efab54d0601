//! Runs the body `stream` with libFuzzer's bytes.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bodies::stream::run(bytes));
