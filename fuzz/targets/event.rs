//! Hands libFuzzer's bytes to the body `event`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bodies::event::run(bytes));
