//! What a worker says, and frames in both directions.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| surge_supervisor::fuzzing::said(bytes));
