//! What a worker is told.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| surge_runtime::fuzzing::told(bytes));
