//! Runs one WASM task under hard limits, in a process of its own: the `surge-worker` program.
//!
//! Deliberately absent: the network, wallets, the owner's files, and the decision when to run. The process has three
//! pipes and the data descriptors that it was started with, and locks itself out of everything else before it reads
//! a byte; CPU time is watched from outside, by the supervisor.

mod check;
mod ending;
mod engine;
mod fs;
mod fuel;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod guest;
mod host;
mod inherited;
mod isa;
mod lockdown;
mod meter;
mod run;
mod speaker;
mod wasi;
mod worker;

pub use engine::runtime_class;
pub use host::stdout;
pub use lockdown::{LockdownError, Walls, lock_down};
#[cfg(target_os = "linux")]
pub use lockdown::{Wall, probe, probes};
pub use worker::{ServeError, serve};
