//! All that a shell may know: one whole [`Snapshot`], and the [`Command`]s it may send.
//!
//! The same types reach the tray, the window and the CLI's `--json`. They carry codes with values, never sentences: those
//! are made from them by [`crate::words`], in the shell's language. An engine of another version may know words that this
//! one does not: they are read as `unknown`, and fields that it does not send have their defaults.

use serde::{Deserialize, Serialize};
use surge_protocol::Digest;
use ts_rs::TS;

mod command;
mod machine;
mod network;
mod reason;

pub use command::Command;
pub use machine::{MachineView, PresenceView, SensorView};
pub use network::{Earnings, NetworkView, UnattachedView};
pub use reason::{Case, Measure, Reason, ReasonCode, Unit};

/// What the engine is doing, in one word. Every word has its own tray shape.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// At least one task is running.
    Earning,
    /// Ready, and held by a reason or without work.
    #[default]
    Held,
    /// The owner paused it.
    Paused,
    /// Something only the owner can mend.
    NeedsYou,
    /// A word of a newer engine.
    #[serde(other)]
    Unknown,
}

/// A running worker, as measured from outside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct WorkerView {
    pub pid: u32,
    #[ts(type = "string")]
    pub lease: Digest,
    pub job_name: String,
    #[ts(type = "number")]
    pub index: u64,
    /// The share of one core that it may use now, 0 to 1. 0 is held.
    pub share: f32,
    /// CPU time so far, milliseconds.
    #[ts(type = "number")]
    pub cpu_ms: u64,
}

/// A setting with where its value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct SettingView {
    pub key: String,
    /// As it is written in the settings file.
    pub value: String,
    pub source: SettingSource,
    /// Whether only an administrator can change it.
    #[serde(default)]
    pub locked: bool,
}

/// The layers of settings: each holds over those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum SettingSource {
    /// What holds where nobody said anything.
    Default,
    /// The settings file.
    File,
    /// The command line of this run.
    CommandLine,
    /// A layer of a newer engine.
    #[serde(other)]
    Unknown,
}

/// The engine's whole state at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, TS)]
#[serde(default)]
pub struct Snapshot {
    /// Unix seconds.
    #[ts(type = "number")]
    pub at: u64,
    /// The engine's version.
    pub version: String,
    pub state: State,
    /// Why nothing runs, most important first. Empty while something runs. No two have the same code.
    pub reasons: Vec<Reason>,
    /// What the owner should know and what does not stop the work.
    pub notices: Vec<Reason>,
    /// The networks that it is attached to.
    pub networks: Vec<NetworkView>,
    /// Networks that it is not attached to any more, and that finished results wait for.
    pub unattached: Vec<UnattachedView>,
    pub presence: PresenceView,
    pub machine: MachineView,
    /// Unix seconds until which the owner paused it; `null` when not paused, or paused until resumed.
    #[ts(type = "number | null")]
    pub paused_until: Option<u64>,
    /// The running tasks finish, then it pauses.
    pub finishing: bool,
    pub workers: Vec<WorkerView>,
    /// Workers that may run at once.
    pub max_workers: u32,
    /// CPU of the workers in percent of the whole machine, measured over the last second.
    pub load_percent: f32,
    /// The last five minutes of `load_percent`, one value per 5 s, newest last.
    pub load_history: Vec<f32>,
    /// CPU time that all workers used since the engine's start, measured, milliseconds.
    #[ts(type = "number")]
    pub worked_ms: u64,
    /// All settings, in the order of the documentation.
    pub settings: Vec<SettingView>,
}

impl Snapshot {
    /// Workers that may run now.
    #[must_use]
    pub fn running(&self) -> usize {
        self.workers.iter().filter(|worker| worker.share > 0.0).count()
    }
}
