//! Notices that the file has changed. Asked every second or two by a loop that is awake anyway: it costs one `stat`.

use std::path::PathBuf;
use std::time::SystemTime;

use super::keys::waiting;
use super::{Change, Settings, SettingsError};
use crate::view::{Case, Reason, ReasonCode};

/// The file, as it was when it was last looked at.
#[derive(Debug)]
pub(crate) struct SettingsFile {
    path: PathBuf,
    stamp: Option<Stamp>,
    /// What was said for this run on the command line: it holds over the file.
    overrides: Vec<Change>,
    /// What the engine was started with, for the keys that wait for a restart.
    started: Settings,
}

/// What tells one state of a file from another, as far as a clock of whole ticks can.
type Stamp = (Option<SystemTime>, u64, u64);

/// What a changed file brings.
#[derive(Debug)]
pub(crate) struct News {
    /// `None` while the file is invalid: the settings before it hold.
    pub(crate) settings: Option<Settings>,
    pub(crate) notice: Option<Reason>,
}

impl SettingsFile {
    pub(crate) fn new(path: PathBuf, overrides: Vec<Change>, started: Settings) -> Self {
        let stamp = stamp(&path);
        Self { path, stamp, overrides, started }
    }

    /// Reads the file again if it has changed.
    pub(crate) fn look(&mut self) -> Option<News> {
        let stamp = stamp(&self.path);
        if stamp == self.stamp {
            return None;
        }
        self.stamp = stamp;
        Some(match self.read() {
            Ok(settings) => News { notice: restart_needed(&self.started, &settings), settings: Some(settings) },
            Err(error) => News { settings: None, notice: Some(invalid(&error)) },
        })
    }

    fn read(&self) -> Result<Settings, SettingsError> {
        let mut settings = Settings::load(&self.path)?;
        for change in &self.overrides {
            // It was applied at the start; only a later version could refuse it.
            if let Err(error) = change.apply(&mut settings) {
                tracing::warn!(%error, "An option of the command line is ignored");
            }
        }
        Ok(settings)
    }
}

fn stamp(path: &std::path::Path) -> Option<Stamp> {
    use std::os::unix::fs::MetadataExt;
    let told = std::fs::metadata(path).ok()?;
    Some((told.modified().ok(), told.len(), told.ino()))
}

fn invalid(error: &SettingsError) -> Reason {
    Reason::new(ReasonCode::SettingsInvalid).said(error.to_string())
}

fn restart_needed(running: &Settings, wanted: &Settings) -> Option<Reason> {
    let keys = waiting(running, wanted);
    let first = keys.first()?;
    let reason = Reason::new(ReasonCode::RestartNeeded).case(Case::SettingChanged).about(keys.join(", "));
    Some(reason.set_by(first))
}
