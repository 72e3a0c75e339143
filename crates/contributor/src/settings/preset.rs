//! Three ways to set the limits that belong together. A preset is only the values that it writes.

use super::{Change, Machine, Settings};

/// Named limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// Nobody should ever hear or feel it.
    Quiet,
    /// The defaults.
    Balanced,
    /// All that this computer can spare.
    Everything,
}

impl Preset {
    pub const ALL: [Self; 3] = [Self::Quiet, Self::Balanced, Self::Everything];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Balanced => "balanced",
            Self::Everything => "everything",
        }
    }

    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|preset| preset.name() == name)
    }

    /// What it sets on `machine`. Everything else stays the owner's.
    #[must_use]
    pub fn changes(self, machine: &Machine) -> Vec<Change> {
        let cool = if machine.portable { 65 } else { 70 };
        let quarter = (machine.cores / 4).max(1);
        let values: [(&str, u64); 7] = match self {
            Self::Quiet => [
                ("idle_after_seconds", 600),
                ("workers", quarter.into()),
                ("cpu_percent", 50),
                ("in_use_cpu_percent", 0),
                ("other_load_percent", 25),
                ("other_load_resume_percent", 10),
                ("target_celsius", cool),
            ],
            Self::Balanced => [
                ("idle_after_seconds", 180),
                ("workers", 0),
                ("cpu_percent", 100),
                ("in_use_cpu_percent", 0),
                ("other_load_percent", 50),
                ("other_load_resume_percent", 30),
                ("target_celsius", 0),
            ],
            Self::Everything => [
                ("idle_after_seconds", 60),
                ("workers", machine.cores.into()),
                ("cpu_percent", 100),
                ("in_use_cpu_percent", 20),
                ("other_load_percent", 75),
                ("other_load_resume_percent", 50),
                ("target_celsius", 0),
            ],
        };
        values.into_iter().map(|(key, value)| Change::new(key, value.to_string())).collect()
    }

    /// The preset that these settings are, if they are one.
    #[must_use]
    pub fn of(settings: &Settings, machine: &Machine) -> Option<Self> {
        Self::ALL.into_iter().find(|preset| {
            preset
                .changes(machine)
                .iter()
                .all(|change| super::keys::key(change.key()).is_some_and(|key| key.toml(settings) == change.value()))
        })
    }
}
