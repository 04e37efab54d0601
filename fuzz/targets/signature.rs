//! Hands libFuzzer's bytes to the body `signature`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bodies::signature::run(bytes));
