//! Manifests, epoch files and API bodies from a coordinator, a node or a requester.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| surge_protocol::fuzzing::document(bytes));
