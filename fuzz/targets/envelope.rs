//! Hands libFuzzer's bytes to the body `envelope`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bodies::envelope::run(bytes));
