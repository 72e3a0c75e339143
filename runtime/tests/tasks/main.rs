//! Tasks through the door that production uses: the supervisor and the `surge-worker` program.
//!
//! What a stranger's module may try is in the table of `hostile`.

#![expect(clippy::unwrap_used, reason = "tests")]

mod bombs;
mod determinism;
mod door;
mod endings;
mod fuel;
mod hostile;
mod kept;
mod modules;
mod throttle;
mod world;
