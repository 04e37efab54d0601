//! Hands libFuzzer's bytes to the body `answer`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bodies::answer::run(bytes));
