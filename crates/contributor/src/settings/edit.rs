//! Changes to single settings: in the file, where the owner's comments and order stay, or over it for one run.

use std::path::Path;

use thiserror::Error;
use toml_edit::{DocumentMut, Value};

use super::contradiction::contradictions;
use super::file::{lock, read, unknown, write};
use super::keys::{KEYS, key};
use super::problem::listed;
use super::{Machine, Problem, Settings, SettingsError};

/// A new value for one key, as TOML or as a person types it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    key: String,
    value: String,
}

#[derive(Debug, Error)]
pub enum ChangeError {
    #[error("{0:?} is no change: write KEY=VALUE, as in cpu_percent=50")]
    Form(String),
    #[error("{0}")]
    Key(String),
    #[error("{key} {wrong}")]
    Value { key: String, wrong: String },
    /// Each value is allowed, and the whole would not be.
    #[error("{changes} can't be set: {}; nothing was changed", listed(problems))]
    Contradiction { changes: String, problems: Vec<Problem> },
    #[error(transparent)]
    Settings(#[from] SettingsError),
}

impl ChangeError {
    /// A stable word for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Form(_) | Self::Key(_) | Self::Value { .. } | Self::Contradiction { .. } => "bad_change",
            Self::Settings(error) => error.code(),
        }
    }
}

/// The settings of a file after changes, and before.
#[derive(Debug, Clone, PartialEq)]
pub struct Changed {
    /// The defaults where there was no file, or one that was not valid.
    pub before: Settings,
    pub after: Settings,
}

/// A setting whose value is another one after a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub key: &'static str,
    /// Both as they stand in the file.
    pub before: String,
    pub after: String,
    /// Whether it counts without a restart of the engine.
    pub live: bool,
}

impl Changed {
    /// What has changed, in the order of the file.
    #[must_use]
    pub fn differences(&self) -> Vec<Difference> {
        let difference = |key: &'static super::keys::Key| {
            let (before, after) = (key.toml(&self.before), key.toml(&self.after));
            (before != after).then_some(Difference { key: key.name, before, after, live: key.live })
        };
        KEYS.iter().filter_map(difference).collect()
    }
}

impl Change {
    #[must_use]
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.into() }
    }

    /// `KEY=VALUE`, as it is typed.
    ///
    /// # Errors
    /// When there is no `=`, no such key, or the value is not one that it can have.
    pub fn parse(text: &str) -> Result<Self, ChangeError> {
        let parts = text.split_once('=').filter(|(key, _)| !key.trim().is_empty());
        let (key, value) = parts.ok_or_else(|| ChangeError::Form(text.to_owned()))?;
        let change = Self::new(key.trim(), value.trim());
        change.apply(&mut Settings::default()).map(|toml| Self { value: toml, ..change })
    }

    /// Several of them. A list may be given one item after the other, by the same key again and again.
    ///
    /// # Errors
    /// As [`Change::parse`], for the first that is wrong.
    pub fn parse_all(texts: &[String]) -> Result<Vec<Self>, ChangeError> {
        let mut changes: Vec<Self> = Vec::new();
        for text in texts {
            let next = Self::parse(text)?;
            match changes.iter_mut().find(|earlier| earlier.key == next.key) {
                Some(earlier) => *earlier = earlier.and(next)?,
                None => changes.push(next),
            }
        }
        Ok(changes)
    }

    /// This and then `next`, of the same key: both lists, or the later value.
    fn and(&self, next: Self) -> Result<Self, ChangeError> {
        let inside = |toml: &str| toml.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).map(str::to_owned);
        match (inside(&self.value), inside(&next.value)) {
            (Some(first), Some(second)) if !first.is_empty() && !second.is_empty() => {
                let both = Self::new(&self.key, format!("[{first}, {second}]"));
                both.apply(&mut Settings::default()).map(|toml| Self { value: toml, ..both })
            }
            _ => Ok(next),
        }
    }

    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Changes `settings`. Returns the value as TOML.
    ///
    /// # Errors
    /// When the key does not exist, or can't have this value.
    pub fn apply(&self, settings: &mut Settings) -> Result<String, ChangeError> {
        let key = key(&self.key).ok_or_else(|| ChangeError::Key(unknown(&self.key)))?;
        let read = key.field(settings).read_typed(&self.value);
        read.map_err(|wrong| ChangeError::Value { key: self.key.clone(), wrong })?;
        Ok(key.toml(settings))
    }
}

/// Changes the file at `path`, or nothing at all: what is left must be valid as a whole. Changes by several commands at once
/// are made one after the other.
///
/// # Errors
/// When the file was invalid before and still is, a change is, or the whole would be.
pub fn change(path: &Path, changes: &[Change]) -> Result<Changed, ChangeError> {
    let _mine = lock(path)?;
    let text = read(path)?.unwrap_or_else(|| Settings::default().to_commented_toml());
    let machine = Machine::here();
    let before = Settings::parse(&text, &machine);
    let changed = edited(path, &text, changes)?;
    match (before, Settings::parse(&changed, &machine)) {
        (before, Ok(after)) => {
            if changed != text || !path.exists() {
                write(path, &changed)?;
            }
            Ok(Changed { before: before.unwrap_or_default(), after })
        }
        // A problem that was there already is told with its line in the file as the owner knows it.
        (Err(problems), Err(_)) => Err(SettingsError::Invalid { path: path.to_owned(), problems }.into()),
        (Ok(before), Err(_)) => Err(contradiction(before, changes, &machine)),
    }
}

/// Why changes that are allowed one by one can't be made to valid settings. No lines are told: the text that they would be of
/// was never written.
fn contradiction(mut settings: Settings, changes: &[Change], machine: &Machine) -> ChangeError {
    for change in changes {
        if let Err(error) = change.apply(&mut settings) {
            return error;
        }
    }
    let problems = contradictions(&settings, machine).into_iter().map(|found| found.told(|_| None)).collect();
    let changes = changes.iter().map(|it| format!("{} = {}", it.key, it.value)).collect::<Vec<_>>().join(", ");
    ChangeError::Contradiction { changes, problems }
}

fn edited(path: &Path, text: &str, changes: &[Change]) -> Result<String, ChangeError> {
    let mut document: DocumentMut = text.parse().map_err(|_| {
        let problems = Settings::parse(text, &Machine::here()).err().unwrap_or_default();
        SettingsError::Invalid { path: path.to_owned(), problems }
    })?;
    for change in changes {
        let toml = change.apply(&mut Settings::default())?;
        let mut value: Value = toml.parse().expect("a field writes TOML, as the tests read it");
        match document.get_mut(&change.key).and_then(|item| item.as_value_mut()) {
            Some(old) => {
                // What stands around the old value, such as a comment behind it, stays.
                *value.decor_mut() = old.decor().clone();
                *old = value;
            }
            None => {
                document.insert(&change.key, toml_edit::Item::Value(value));
            }
        }
    }
    Ok(document.to_string())
}
