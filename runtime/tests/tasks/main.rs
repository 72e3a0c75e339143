//! Tasks through the door that production uses: the supervisor and the `surge-worker` program.
//!
//! The numbers are those of the list of hostile cases in `docs/hostile-cases.md`, which says for each where it is
//! tested, or why it can't occur.

#![expect(clippy::unwrap_used, reason = "tests")]

mod bombs;
mod determinism;
mod door;
mod endings;
mod fuel;
mod kept;
mod modules;
mod throttle;
mod world;
