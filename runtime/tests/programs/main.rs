//! Programs that were not written for Surge, or only to be its examples, through the door that production uses: the
//! supervisor and the `surge-worker` program.
//!
//! The modules are checked in under `modules/`, and those of `jobs/` beside their sources; `cargo xtask jobs` builds them
//! from `sources/` and from what cargo fetches.

#![expect(clippy::unwrap_used, reason = "tests")]

mod conformance;
mod door;
mod examples;
mod real;
