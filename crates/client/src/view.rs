//! All that a shell may know: one whole [`Snapshot`], and the [`Command`]s it may send.
//!
//! The same types reach the tray, the window and the CLI's `--json`. They carry codes with values, never sentences: those
//! are made from them by [`crate::words`], in the shell's language. An engine of another version may know words that this
//! one does not: they are read as `unknown`, and fields that it does not send have their defaults.

use serde::{Deserialize, Serialize};
use surge_protocol::{Amount, Digest};
use ts_rs::TS;

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

/// Why nothing runs, or what the owner should know. UI, tray, `surge why`, log and tests use this one value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Reason {
    /// Stable.
    pub code: ReasonCode,
    /// Which case of the code it is, where the words for it differ.
    #[serde(default)]
    pub case: Option<Case>,
    /// The value now against its limit, where both are numbers.
    #[serde(default)]
    pub measure: Option<Measure>,
    /// The program, sensor, file or setting that it is about, where there is one.
    #[serde(default)]
    pub subject: Option<String>,
    /// What the system or the network said, word for word: an error's text. Never a sentence of ours.
    #[serde(default)]
    pub said: Option<String>,
    /// Unix seconds at which this may end by itself, when that is known.
    #[serde(default)]
    #[ts(type = "number | null")]
    pub until: Option<u64>,
    /// The key in the settings that decides it, where there is one.
    #[serde(default)]
    pub setting: Option<String>,
}

/// A case of a [`ReasonCode`] that has words of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Case {
    /// The condition has ended, and work starts a while after that.
    Ended,
    /// The computer woke from sleep.
    Woke,
    /// The clock jumped.
    ClockJumped,
    /// A reading came back just now.
    Recovered,
    /// A value can't be read.
    Unreadable,
    /// The battery does not tell its charge.
    ChargeUnknown,
    /// The battery is too low, and work on it is allowed otherwise.
    ChargeLow,
    /// The sensor has gone away.
    SensorGone,
    /// No network is attached.
    NoNetwork,
    /// There is no payout account.
    NoPayout,
    /// The proxy, or a certificate, is in the way.
    Proxy,
    /// This computer's clock is wrong.
    Clock,
    /// A setting has changed.
    SettingChanged,
    /// The programs on the disk are others than those that run.
    Updated,
    /// The reporter of a login session is gone, and its session is not.
    ReporterLost,
    /// Nothing stands in the way: the next task is being fetched or started.
    NextTask,
    /// What running tasks need takes all the room there is.
    NoRoom,
    /// What the owner wanted holds, and is not stored.
    NotKept,
    /// The files could not be read again, and what was read before holds.
    NotRead,
    /// A case of a newer engine.
    #[serde(other)]
    Unknown,
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
    /// A unit of a newer engine.
    #[serde(other)]
    Unknown,
}

impl Reason {
    /// A reason without values, which are added to it.
    #[must_use]
    pub const fn new(code: ReasonCode) -> Self {
        Self { code, case: None, measure: None, subject: None, said: None, until: None, setting: None }
    }

    #[must_use]
    pub fn case(self, case: Case) -> Self {
        Self { case: Some(case), ..self }
    }

    #[must_use]
    pub fn measured(self, value: impl Into<i64>, limit: impl Into<i64>, unit: Unit) -> Self {
        Self { measure: Some(Measure { value: value.into(), limit: limit.into(), unit }), ..self }
    }

    #[must_use]
    pub fn about(self, subject: impl Into<String>) -> Self {
        Self { subject: Some(subject.into()), ..self }
    }

    #[must_use]
    pub fn said(self, words: impl Into<String>) -> Self {
        Self { said: Some(words.into()), ..self }
    }

    #[must_use]
    pub fn until(self, until: impl Into<Option<u64>>) -> Self {
        Self { until: until.into(), ..self }
    }

    #[must_use]
    pub fn set_by(self, setting: &str) -> Self {
        Self { setting: Some(setting.into()), ..self }
    }

    /// The programs that it names, which is private to who uses them.
    #[must_use]
    pub fn program(&self) -> Option<&str> {
        self.subject.as_deref().filter(|_| self.code.is_about_programs())
    }

    /// The same without what names a program.
    #[must_use]
    pub fn without_program(&self) -> Self {
        if self.code.is_about_programs() { Self { subject: None, said: None, ..self.clone() } } else { self.clone() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum ReasonCode {
    /// The engine has just started: its sensors have not told anything yet.
    Starting,
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
    /// The next start is needed: for a changed setting, or because the programs were updated.
    RestartNeeded,
    /// The load is lowered so that the processor stays cool.
    Warm,
    /// No sensor tells the processor's temperature, so the load is capped.
    NoTemperature,
    /// The network has no task for this machine now.
    NoWork,
    /// The coordinator does not answer.
    CoordinatorUnreachable,
    /// The coordinator answers, and refuses this node.
    CoordinatorRefused,
    /// The disk is full.
    DiskFull,
    /// What was fetched can't be kept or read on this computer, though the disk is not full.
    CacheUnusable,
    /// The engine's data folder can't be read or written, or does not answer.
    HomeUnusable,
    /// The worker can't be started, or fails at every task.
    WorkerBroken,
    /// This system can't lock workers down as the setting `sandbox` asks for.
    SandboxUnavailable,
    /// No network is attached, or no payout account is bound.
    NotSetUp,
    /// A file of the setup is damaged or belongs to something else: manifest, payout binding, device key, certificates.
    SetupInvalid,
    /// A part of the program is missing: the worker, the system's certificates.
    InstallationBroken,
    /// A reason of a newer engine.
    #[serde(other)]
    Unknown,
}

impl ReasonCode {
    /// All codes that this version knows.
    pub const ALL: [Self; 36] = [
        Self::Starting,
        Self::Paused,
        Self::Finishing,
        Self::OutsideSchedule,
        Self::UserActive,
        Self::OtherUser,
        Self::PresenceUnknown,
        Self::Disturbed,
        Self::SensorStale,
        Self::FullScreen,
        Self::Film,
        Self::Call,
        Self::Gamepad,
        Self::ExcludedProgram,
        Self::OnBattery,
        Self::LidShut,
        Self::Hot,
        Self::OtherLoad,
        Self::MemoryLow,
        Self::MeteredNetwork,
        Self::SettingsInvalid,
        Self::RestartNeeded,
        Self::Warm,
        Self::NoTemperature,
        Self::NoWork,
        Self::CoordinatorUnreachable,
        Self::CoordinatorRefused,
        Self::DiskFull,
        Self::CacheUnusable,
        Self::HomeUnusable,
        Self::WorkerBroken,
        Self::SandboxUnavailable,
        Self::NotSetUp,
        Self::SetupInvalid,
        Self::InstallationBroken,
        Self::Unknown,
    ];

    /// Its stable word.
    #[must_use]
    pub fn name(self) -> String {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::String(name)) => name,
            _ => unreachable!("a code without fields is written as a string"),
        }
    }

    /// Whether its values may be names of programs that somebody uses.
    #[must_use]
    pub const fn is_about_programs(self) -> bool {
        matches!(self, Self::FullScreen | Self::Film | Self::Call | Self::Gamepad | Self::ExcludedProgram)
    }
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
#[serde(default)]
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
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(default)]
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
#[serde(default)]
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

/// A network that the engine works for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(default)]
pub struct NetworkView {
    pub name: String,
    /// The account that rewards of this network go to, with its checksum; `null` while there is none.
    pub payout: Option<String>,
    pub earnings: Earnings,
    /// Finished results that wait for delivery to it.
    pub undelivered: u32,
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
