//! The owner's settings: one commented TOML file, validated as a whole, read again when it changes. A key that is missing
//! takes its default, which is the careful one.
//!
//! `keys` is the one table of them: reading, writing, showing and changing go through it. Deliberately absent: what
//! the settings lead to. The gate and the governor see them as [`Limits`].

mod contradiction;
mod edit;
mod field;
mod file;
mod keys;
mod preset;
mod problem;
mod watch;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use surge_platform::paths::Paths;
use surge_platform::presence::Source;
use surge_protocol::frame::Lockdown;
use thiserror::Error;

use crate::files::FileError;
use crate::gate::{Allowance, Limits, Thresholds, UseKind};
use crate::schedule::Schedule;

pub use edit::{Change, ChangeError, Changed, Difference, change};
pub use keys::{Shown, shown};
pub use preset::Preset;
pub use problem::Problem;
pub(crate) use watch::{SettingsFile, Stamp, restart_needed};

/// What the owner allows.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub presence: PresenceSetting,
    /// With [`PresenceSetting::Sessions`]: a machine that nobody is logged in to counts as idle.
    pub greeter_idle: bool,
    /// Seconds without input after which this computer counts as idle.
    pub idle_after_seconds: u64,
    /// Tasks that may run at once; 0 means half of the cores.
    pub workers: u32,
    /// Share of one core that each task may use, percent.
    pub cpu_percent: u8,
    /// The same while somebody uses this computer; a share of 0 is not at all.
    pub in_use_workers: u32,
    pub in_use_cpu_percent: u8,
    /// The same on its battery.
    pub battery_workers: u32,
    pub battery_cpu_percent: u8,
    /// Charge below which nothing runs on the battery.
    pub battery_min_percent: u8,
    pub schedule: Schedule,
    pub pause_for: BTreeSet<UseKind>,
    pub ignored_programs: BTreeSet<String>,
    pub excluded_programs: BTreeSet<String>,
    /// CPU of other programs above which nothing runs, percent of the machine; 100 is never.
    pub other_load_percent: u8,
    pub other_load_resume_percent: u8,
    /// Temperature that is kept, °C; 0 is 75 for a laptop and 80 for others.
    pub target_celsius: u8,
    /// Share of one core where no sensor tells the temperature, percent.
    pub no_sensor_cpu_percent: u8,
    /// Raises the load slowly.
    pub gentle: bool,
    /// Memory that one task may ask for, MiB.
    pub memory_mib: u64,
    /// Memory to leave to others, MiB; 0 is a tenth of it.
    pub leave_free_mib: u64,
    pub use_metered_network: bool,
    /// This computer does not fall asleep by itself while work runs on the mains.
    pub keep_awake_on_ac: bool,
    pub sandbox: SandboxSetting,
    /// A file of certificates that are trusted besides the system's, from the home folder on.
    pub extra_ca: Option<PathBuf>,
    /// Lets a second engine run on this machine. For test beds: two engines know nothing of each other's load.
    pub share_machine: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PresenceSetting {
    /// Ask the session whether somebody is here.
    Auto,
    /// Hear the reporters of all sessions: the system service of a machine with people.
    Sessions,
    /// Nobody sits at this machine: a server.
    Headless,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SandboxSetting {
    /// Workers that can't lock themselves down in full run nothing.
    Full,
    /// The filter over system calls is enough, for kernels without landlock.
    SeccompOnly,
}

/// What the meaning of some settings depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    pub cores: u32,
    /// 0 where the system does not tell.
    pub memory_bytes: u64,
    /// A laptop, or the like.
    pub portable: bool,
}

#[derive(Debug, Error)]
pub enum SettingsError {
    #[error("{} is not valid: {}", path.display(), problem::listed(problems))]
    Invalid { path: PathBuf, problems: Vec<Problem> },
    #[error(transparent)]
    File(#[from] FileError),
    #[error("{} can't be written: {source}", path.display())]
    Write { path: PathBuf, source: std::io::Error },
}

impl SettingsError {
    /// A stable word for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid { .. } | Self::File(_) => "bad_settings",
            Self::Write { .. } => "io",
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            presence: PresenceSetting::Auto,
            greeter_idle: true,
            idle_after_seconds: 180,
            workers: 0,
            cpu_percent: 100,
            in_use_workers: 1,
            in_use_cpu_percent: 0,
            battery_workers: 1,
            battery_cpu_percent: 0,
            battery_min_percent: 50,
            schedule: Schedule::default(),
            pause_for: UseKind::ALL.into(),
            ignored_programs: BTreeSet::new(),
            excluded_programs: BTreeSet::new(),
            other_load_percent: 50,
            other_load_resume_percent: 30,
            target_celsius: 0,
            no_sensor_cpu_percent: 50,
            gentle: true,
            memory_mib: 1024,
            leave_free_mib: 0,
            use_metered_network: false,
            keep_awake_on_ac: false,
            sandbox: SandboxSetting::Full,
            extra_ca: None,
            share_machine: false,
        }
    }
}

impl Machine {
    /// The machine that this runs on.
    #[must_use]
    pub fn here() -> Self {
        Self {
            cores: surge_platform::load::cores(),
            memory_bytes: surge_platform::load::memory_bytes(),
            portable: surge_platform::chassis::portable(),
        }
    }
}

impl Settings {
    /// What gate and governor make of them on `machine`.
    #[must_use]
    pub fn limits(&self, machine: &Machine) -> Limits {
        let percent = |percent: u8| f32::from(percent) / 100.0;
        let budget = |workers, share| (share > 0).then(|| Allowance { workers, share: percent(share) });
        Limits {
            idle_after: self.idle_after(),
            away: Allowance { workers: self.max_workers(machine), share: percent(self.cpu_percent) },
            in_use: budget(self.in_use_workers, self.in_use_cpu_percent),
            battery: budget(self.battery_workers, self.battery_cpu_percent),
            battery_min_percent: self.battery_min_percent,
            schedule: self.schedule.clone(),
            pause_for: self.pause_for.clone(),
            ignored_programs: self.ignored_programs.clone(),
            excluded_programs: self.excluded_programs.clone(),
            other_load: (self.other_load_percent < 100).then(|| Thresholds {
                stop_above: self.other_load_percent.into(),
                start_below: self.other_load_resume_percent.into(),
            }),
            target_celsius: self.target(machine).into(),
            blind_share: percent(self.no_sensor_cpu_percent),
            gentle: self.gentle,
            leave_free: self.leave_free(machine),
            task_memory: self.memory_mib << 20,
            use_metered: self.use_metered_network,
        }
    }

    #[must_use]
    pub fn max_workers(&self, machine: &Machine) -> u32 {
        match self.workers {
            0 => (machine.cores / 2).max(1),
            workers => workers,
        }
    }

    fn target(&self, machine: &Machine) -> u8 {
        match self.target_celsius {
            0 if machine.portable => 75,
            0 => 80,
            celsius => celsius,
        }
    }

    /// A tenth of the memory, between a quarter and two GiB, where the owner does not say.
    fn leave_free(&self, machine: &Machine) -> u64 {
        match self.leave_free_mib {
            0 => (machine.memory_bytes / 10).clamp(256 << 20, 2048 << 20),
            mib => mib << 20,
        }
    }

    #[must_use]
    pub fn idle_after(&self) -> Duration {
        Duration::from_secs(self.idle_after_seconds)
    }

    /// The least lock-down of a worker that will do.
    #[must_use]
    pub fn lockdown(&self) -> Lockdown {
        match self.sandbox {
            SandboxSetting::Full => Lockdown::Full,
            SandboxSetting::SeccompOnly => Lockdown::SeccompOnly,
        }
    }

    /// The file of additional certificates.
    #[must_use]
    pub fn extra_ca(&self, paths: &Paths) -> Option<PathBuf> {
        self.extra_ca.as_ref().map(|file| paths.home.join(file))
    }

    #[must_use]
    pub fn source(&self) -> Source {
        match self.presence {
            PresenceSetting::Auto => Source::Auto,
            PresenceSetting::Sessions => Source::Sessions { greeter_idle: self.greeter_idle },
            PresenceSetting::Headless => Source::Headless,
        }
    }
}

#[cfg(test)]
mod tests;
