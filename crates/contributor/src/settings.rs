//! The owner's settings: one commented TOML file, validated as a whole. Missing keys take the defaults of a careful friend.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use surge_platform::presence::Source;
use surge_protocol::frame::Lockdown;
use thiserror::Error;

/// What the owner allows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    pub presence: PresenceSetting,
    /// Seconds without input after which this computer counts as idle.
    pub idle_after_seconds: u64,
    /// Tasks that may run at once; 0 means half of the cores.
    pub workers: u32,
    /// Share of one core that each task may use, percent.
    pub cpu_percent: u8,
    /// Memory that one task may ask for, MiB.
    pub memory_mib: u64,
    pub sandbox: SandboxSetting,
    /// Lets a second engine run on this machine. For test beds: two engines know nothing of each other's load.
    pub share_machine: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PresenceSetting {
    /// Ask the session whether somebody is here.
    Auto,
    /// Nobody sits at this machine: a server.
    Headless,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SandboxSetting {
    /// Workers that can't lock themselves down in full run nothing.
    Full,
    /// The filter over system calls is enough, for kernels without landlock.
    SeccompOnly,
}

#[derive(Debug, Error)]
pub enum SettingsError {
    #[error("{path}: {message}")]
    Syntax { path: PathBuf, message: String },
    #[error("{path}: {key} is {value}, allowed is {allowed}")]
    Range { path: PathBuf, key: &'static str, value: u64, allowed: &'static str },
    #[error("{path} can't be read or written")]
    Io { path: PathBuf, source: std::io::Error },
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            presence: PresenceSetting::Auto,
            idle_after_seconds: 180,
            workers: 0,
            cpu_percent: 100,
            memory_mib: 1024,
            sandbox: SandboxSetting::Full,
            share_machine: false,
        }
    }
}

impl Settings {
    /// Reads `path`; a missing file is the defaults.
    ///
    /// # Errors
    /// With the file's name and, for syntax, the line.
    pub fn load(path: &Path) -> Result<Self, SettingsError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(SettingsError::Io { path: path.to_owned(), source }),
        };
        let settings: Self = toml::from_str(&text)
            .map_err(|error| SettingsError::Syntax { path: path.to_owned(), message: error.to_string() })?;
        settings.check(path)?;
        Ok(settings)
    }

    fn check(&self, path: &Path) -> Result<(), SettingsError> {
        let range = |key, value: u64, allowed: std::ops::RangeInclusive<u64>, text| {
            if allowed.contains(&value) {
                return Ok(());
            }
            Err(SettingsError::Range { path: path.to_owned(), key, value, allowed: text })
        };
        range("idle_after_seconds", self.idle_after_seconds, 1..=86_400, "1 to 86400")?;
        range("workers", u64::from(self.workers), 0..=1024, "0 to 1024")?;
        range("cpu_percent", u64::from(self.cpu_percent), 1..=100, "1 to 100")?;
        range("memory_mib", self.memory_mib, 16..=4096, "16 to 4096")
    }

    /// Writes the settings with a comment above each.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn save(&self, path: &Path) -> Result<(), SettingsError> {
        crate::files::write_atomic(path, self.to_commented_toml().as_bytes(), 0o644)
            .map_err(|source| SettingsError::Io { path: path.to_owned(), source })
    }

    fn to_commented_toml(&self) -> String {
        let mut text = String::from("# Surge's settings. Keys left out take their defaults.\n");
        let mut row = |comment: &str, key: &str, value: &dyn std::fmt::Display| {
            write!(text, "\n# {comment}\n{key} = {value}\n").expect("writing to a string can't fail");
        };
        let presence = match self.presence {
            PresenceSetting::Auto => "\"auto\"",
            PresenceSetting::Headless => "\"headless\"",
        };
        row(
            "\"auto\" asks the session whether somebody is here; \"headless\" says that nobody sits here.",
            "presence",
            &presence,
        );
        row(
            "Seconds without input after which this computer counts as idle.",
            "idle_after_seconds",
            &self.idle_after_seconds,
        );
        row("Tasks that may run at once; 0 means half of the cores.", "workers", &self.workers);
        row("Share of one core that each task may use, percent.", "cpu_percent", &self.cpu_percent);
        row("Memory that one task may ask for, MiB.", "memory_mib", &self.memory_mib);
        let sandbox = match self.sandbox {
            SandboxSetting::Full => "\"full\"",
            SandboxSetting::SeccompOnly => "\"seccomp-only\"",
        };
        row(
            "\"full\" runs nothing where the kernel has no landlock; \"seccomp-only\" does with the filter over system calls.",
            "sandbox",
            &sandbox,
        );
        row("Lets a second engine run on this machine (for test beds).", "share_machine", &self.share_machine);
        text
    }

    #[must_use]
    pub fn max_workers(&self) -> u32 {
        match self.workers {
            0 => (surge_platform::load::cores() / 2).max(1),
            workers => workers,
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

    #[must_use]
    pub fn source(&self) -> Source {
        match self.presence {
            PresenceSetting::Auto => Source::Auto,
            PresenceSetting::Headless => Source::Headless,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_what_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.toml");
        assert_eq!(Settings::load(&path).unwrap(), Settings::default());
        let changed = Settings {
            presence: PresenceSetting::Headless,
            workers: 3,
            cpu_percent: 40,
            sandbox: SandboxSetting::SeccompOnly,
            ..Settings::default()
        };
        changed.save(&path).unwrap();
        assert_eq!(Settings::load(&path).unwrap(), changed);
    }

    #[test]
    fn a_wrong_setting_names_the_line_or_the_range() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.toml");
        std::fs::write(&path, "workers = 1\nworker = 2\n").unwrap();
        let error = Settings::load(&path).unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("worker"), "{error}");
        std::fs::write(&path, "cpu_percent = 0\n").unwrap();
        let error = Settings::load(&path).unwrap_err().to_string();
        assert!(error.contains("cpu_percent is 0, allowed is 1 to 100"), "{error}");
    }
}
