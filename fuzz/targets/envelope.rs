//! Runs the body `envelope` with libFuzzer's bytes.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bodies::envelope::run(bytes));
