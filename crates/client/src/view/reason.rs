//! Why nothing runs, or what the owner should know: a code with its case and its values, never a sentence.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

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
