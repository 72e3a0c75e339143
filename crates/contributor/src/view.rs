//! All that a shell may know: one whole [`Snapshot`], and the [`Command`]s it may send.
//!
//! The same types reach the tray, the window, the CLI's `--json` and the control socket.

use serde::{Deserialize, Serialize};
use surge_protocol::{Amount, Digest};
use ts_rs::TS;

/// What the engine is doing, in one word. Every word has its own tray shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// At least one task is running.
    Earning,
    /// Ready, and held by a reason or without work.
    Held,
    /// The owner paused it.
    Paused,
    /// Something only the owner can mend.
    NeedsYou,
}

/// Why nothing runs, most important first. `code` is stable; UI, tray, `surge why`, log and tests use this one value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Reason {
    pub code: ReasonCode,
    /// The condition in words, with its value and the limit: `last input 4 s ago, starts after 180 s`.
    pub detail: String,
    /// The value now against its limit, where both are numbers.
    pub measure: Option<Measure>,
    /// The program or sensor that it is about, where there is one.
    pub subject: Option<String>,
    /// Unix seconds at which this may end by itself, when that is known.
    #[ts(type = "number | null")]
    pub until: Option<u64>,
    /// The key in the settings that decides it, where there is one.
    pub setting: Option<String>,
    /// What the owner can do.
    pub remedy: String,
}

/// A value and its limit, in whole units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Measure {
    #[ts(type = "number")]
    pub value: i64,
    /// What `value` must pass for this reason to end.
    #[ts(type = "number")]
    pub limit: i64,
    pub unit: Unit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    Seconds,
    Percent,
    Celsius,
    Mebibytes,
}

impl Reason {
    /// A reason in words only; the rest is added to it.
    #[must_use]
    pub fn new(code: ReasonCode, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        let (detail, remedy) = (detail.into(), remedy.into());
        Self { code, detail, measure: None, subject: None, until: None, setting: None, remedy }
    }

    #[must_use]
    pub(crate) fn measured(self, value: impl Into<i64>, limit: impl Into<i64>, unit: Unit) -> Self {
        Self { measure: Some(Measure { value: value.into(), limit: limit.into(), unit }), ..self }
    }

    #[must_use]
    pub(crate) fn about(self, subject: impl Into<String>) -> Self {
        Self { subject: Some(subject.into()), ..self }
    }

    #[must_use]
    pub(crate) fn until(self, until: impl Into<Option<u64>>) -> Self {
        Self { until: until.into(), ..self }
    }

    #[must_use]
    pub(crate) fn set_by(self, setting: &str) -> Self {
        Self { setting: Some(setting.into()), ..self }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum ReasonCode {
    /// The owner paused it.
    Paused,
    /// The owner lets the running tasks finish and then pauses; no new one is started.
    Finishing,
    /// The week's schedule does not allow it now.
    OutsideSchedule,
    /// Somebody uses this computer.
    UserActive,
    /// Somebody uses another session of this computer.
    OtherUser,
    /// No source can tell whether somebody uses this computer.
    PresenceUnknown,
    /// A wake from sleep or a jump of the clock: what was known before does not count.
    Disturbed,
    /// A reading is too old to be trusted.
    SensorStale,
    /// A window fills the screen.
    FullScreen,
    /// A program keeps the screen awake.
    Film,
    /// A program uses the microphone.
    Call,
    /// A game controller was moved.
    Gamepad,
    /// A program of the owner's list runs.
    ExcludedProgram,
    /// It runs on its battery.
    OnBattery,
    /// The lid is shut while it runs on its battery.
    LidShut,
    /// The processor is too hot.
    Hot,
    /// Other programs keep the processor busy.
    OtherLoad,
    /// Too little memory is free.
    MemoryLow,
    /// The network costs money: no new task is fetched.
    MeteredNetwork,
    /// The settings file has errors; the settings before it hold.
    SettingsInvalid,
    /// A changed setting waits for the next start.
    RestartNeeded,
    /// The load is lowered so that the processor stays cool.
    Warm,
    /// No sensor tells the processor's temperature, so the load is capped.
    NoTemperature,
    /// The next task is being fetched or started.
    Starting,
    /// The network has no task for this machine now.
    NoWork,
    /// The coordinator does not answer.
    CoordinatorUnreachable,
    /// The coordinator answers, and refuses this node.
    CoordinatorRefused,
    /// The disk is full.
    DiskFull,
    /// The data folder can't be read or written, for another reason than a full disk.
    CacheUnusable,
    /// The worker can't be started, or fails at every task.
    WorkerBroken,
    /// No network is attached, or no payout account is bound.
    NotSetUp,
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

/// Money in its states, base units, by the coordinator's ledger and the chain. What the engine does not know is zero.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Earnings {
    /// Delivered, not yet judged.
    #[ts(type = "string")]
    pub awaiting: Amount,
    /// Credited, and not yet in a finalized epoch.
    #[ts(type = "string")]
    pub validated: Amount,
    /// All that finalized epochs credit to the payout account.
    #[ts(type = "string")]
    pub settled: Amount,
    /// Credited since local midnight, as this engine saw it.
    #[ts(type = "string")]
    pub today: Amount,
    #[ts(type = "number")]
    pub tasks_accepted: u64,
    #[ts(type = "number")]
    pub tasks_rejected: u64,
}

/// What is known of the owner's presence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct PresenceView {
    /// `x11`, `headless`, `none`.
    pub source: String,
    /// Seconds since the last input; `null` where no source tells.
    #[ts(type = "number | null")]
    pub idle_seconds: Option<u64>,
    /// Seconds without input after which work may start.
    #[ts(type = "number")]
    pub idle_after_seconds: u64,
}

/// What the sensors tell of this computer, beside the limits that hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, TS)]
pub struct MachineView {
    /// The processor's temperature, °C; `null` where no sensor tells.
    pub celsius: Option<f32>,
    /// At which the load is kept, and from which on nothing runs, °C.
    pub target_celsius: f32,
    pub stop_celsius: f32,
    /// CPU of other programs, percent of the whole machine; `null` before the first reading.
    pub other_load_percent: Option<f32>,
    /// Above which nothing runs; `null` is never.
    pub other_load_limit_percent: Option<f32>,
    /// `mains`, `battery`, `unknown`.
    pub power: String,
    pub battery_percent: Option<u8>,
    /// Where each reading comes from.
    pub sensors: Vec<SensorView>,
}

/// A reading's source: `thermal` from `hwmon`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct SensorView {
    pub reading: String,
    pub source: String,
}

/// The engine's whole state at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct Snapshot {
    /// Unix seconds.
    #[ts(type = "number")]
    pub at: u64,
    pub version: String,
    /// The attached network's name.
    pub network: Option<String>,
    /// The payout account, with its checksum.
    pub payout: Option<String>,
    pub state: State,
    /// One true sentence: the same in tray tooltip, hero and CLI.
    pub headline: String,
    /// Why nothing runs, most important first. Empty while something runs.
    pub reasons: Vec<Reason>,
    /// What the owner should know and what does not stop the work.
    pub notices: Vec<Reason>,
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
    /// Finished results that wait for delivery.
    pub undelivered: u32,
    pub earnings: Earnings,
}

/// What a shell may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Stops all work now; `seconds: null` means until resumed.
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
}
