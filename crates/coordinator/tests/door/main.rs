//! The coordinator through its HTTP door, on a real SQLite file and real blobs. Chain, replay and clock are the test's.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails here")]

mod actors;
#[path = "../../../../tests/src/executable.rs"]
#[expect(unreachable_pub, reason = "it is a piece of the whole-system tests")]
mod executable;
mod harness;
#[path = "../../../../tests/src/ports.rs"]
#[expect(unreachable_pub, reason = "it is a piece of the whole-system tests")]
mod ports;
mod world;

mod accounts;
mod blobs;
mod chaos;
mod dispatch;
mod doors;
mod grants;
mod orders;
mod process;
mod restart;
mod settlement;
mod verdicts;
