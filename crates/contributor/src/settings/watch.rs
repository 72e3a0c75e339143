//! Notices that the settings file has changed, and says where each setting's value comes from.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::keys::{shown, waiting};
use super::{Change, Settings, SettingsError};
use crate::view::{Case, Reason, ReasonCode, SettingSource, SettingView};

/// The file, as it was when it was last looked at.
#[derive(Debug)]
pub(crate) struct SettingsFile {
    path: PathBuf,
    /// `None` before it was looked at.
    stamp: Option<Option<Stamp>>,
    /// What was said for this run on the command line: it holds over the file.
    overrides: Vec<Change>,
    /// The keys that the file has.
    written: Vec<String>,
}

/// What tells one state of a file from another, as far as a clock of whole ticks can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

impl Stamp {
    /// `None` where there is no such file.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        let told = std::fs::metadata(path).ok()?;
        Some(Self { modified: told.modified().ok(), length: told.len(), inode: told.ino() })
    }
}

impl SettingsFile {
    pub(crate) fn new(path: PathBuf, overrides: Vec<Change>) -> Self {
        Self { path, stamp: None, overrides, written: Vec::new() }
    }

    /// The next look reads the file, whether or not it seems to have changed.
    pub(crate) fn forget(&mut self) {
        self.stamp = None;
    }

    /// Reads the file if it has changed since the last look, or was never read.
    pub(crate) fn look(&mut self) -> Option<Result<Settings, SettingsError>> {
        let stamp = Stamp::of(&self.path);
        if self.stamp.as_ref() == Some(&stamp) {
            return None;
        }
        self.stamp = Some(stamp);
        Some(self.read())
    }

    fn read(&mut self) -> Result<Settings, SettingsError> {
        let mut settings = Settings::load(&self.path)?;
        let text = std::fs::read_to_string(&self.path).unwrap_or_default();
        self.written = toml::from_str::<toml::Table>(&text).unwrap_or_default().keys().cloned().collect();
        for change in &self.overrides {
            // It was good by itself at the start; the file may contradict it.
            if let Err(error) = change.apply(&mut settings) {
                tracing::warn!(%error, "An option of the command line is ignored");
            }
        }
        Ok(settings)
    }

    /// Every setting with its value in `settings`, and which layer that comes from.
    pub(crate) fn layers(&self, settings: &Settings) -> Vec<SettingView> {
        let source = |key: &str| match key {
            key if self.overrides.iter().any(|change| change.key() == key) => SettingSource::CommandLine,
            key if self.written.iter().any(|written| written == key) => SettingSource::File,
            _ => SettingSource::Default,
        };
        let view = |(key, shown): (&'static str, super::Shown)| SettingView {
            key: key.to_owned(),
            value: shown.toml,
            source: source(key),
            locked: false,
        };
        shown(settings).into_iter().map(view).collect()
    }
}

/// Which of the changes from `running` to `wanted` wait for a restart.
pub(crate) fn restart_needed(running: &Settings, wanted: &Settings) -> Option<Reason> {
    let keys = waiting(running, wanted);
    let first = keys.first()?;
    let reason = Reason::new(ReasonCode::RestartNeeded).case(Case::SettingChanged).about(keys.join(", "));
    Some(reason.set_by(first))
}
