//! A program's calls into WASI, and images of /state.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| surge_runtime::fuzzing::shim(bytes));
