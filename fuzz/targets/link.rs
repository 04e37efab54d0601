//! Runs the body `link` with libFuzzer's bytes.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bodies::link::run(bytes));
