//! What a shell asks the engine to do.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// What a shell may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Stops all work now; `seconds: null` means until resumed. Time in which the computer sleeps counts; a clock that is
    /// set does not change how long it lasts.
    Pause {
        #[ts(type = "number | null")]
        seconds: Option<u64>,
    },
    /// Stops all work now, until this unix second.
    PauseUntil {
        #[ts(type = "number")]
        unix: u64,
    },
    /// Starts no new task, and pauses until resumed when the running ones have ended.
    Finish,
    Resume,
    /// Reads settings, networks and payout again now, rather than within two seconds.
    Reload,
    /// Ends the engine in order.
    Stop,
}
