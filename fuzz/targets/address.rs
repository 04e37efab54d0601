//! Hands libFuzzer's bytes to the body `address`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bodies::address::run(bytes));
