//! A checkpoint file that somebody else wrote.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| surge_supervisor::fuzzing::checkpoint(bytes));
