//! Runs the body `signature` with libFuzzer's bytes.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bodies::signature::run(bytes));
