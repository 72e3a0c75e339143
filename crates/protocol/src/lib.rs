//! The language that contributors, requesters, workers and the coordinator share: tasks, results, receipts,
//! amounts, signatures, Merkle leaves and worker frames.
//!
//! Deliberately absent: I/O, clocks, randomness, async. Everything here is a value or a pure function of values.

pub mod amount;
pub mod api;
pub mod digest;
pub mod epoch;
pub mod frame;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod merkle;
pub mod network;
pub mod outcome;
pub mod sign;
pub mod split;
pub mod task;

pub use alloy_primitives::{Address, B256};
pub use amount::Amount;
pub use digest::Digest;
pub use outcome::{Code, Outcome};
