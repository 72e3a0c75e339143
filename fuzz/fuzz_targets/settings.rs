//! The owner's settings, as a person or a program left them.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| surge_contributor::fuzzing::settings(bytes));
