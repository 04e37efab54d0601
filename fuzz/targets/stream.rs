//! Hands libFuzzer's bytes to the body `stream`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bodies::stream::run(bytes));
