//! Changes to single settings: in the file, where the owner's comments and order stay, or over it for one run.

use std::path::Path;

use thiserror::Error;
use toml::de::DeValue;
use toml_edit::{DocumentMut, Value};

use super::file::{unknown, write};
use super::keys::key;
use super::{Machine, Settings, SettingsError};

/// A new value for one key, as TOML. Bare words and lists with commas are understood too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    key: String,
    value: String,
}

#[derive(Debug, Error)]
pub enum ChangeError {
    #[error("{0:?} is no change: write KEY=VALUE")]
    Form(String),
    #[error("{0}")]
    Key(String),
    #[error("{key} {wrong}")]
    Value { key: String, wrong: String },
    #[error(transparent)]
    Settings(#[from] SettingsError),
}

impl ChangeError {
    /// A stable word for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Form(_) | Self::Key(_) | Self::Value { .. } => "bad_change",
            Self::Settings(error) => error.code(),
        }
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
        let (key, value) = text.split_once('=').ok_or_else(|| ChangeError::Form(text.to_owned()))?;
        let change = Self::new(key.trim(), value.trim());
        change.apply(&mut Settings::default()).map(|toml| Self { value: toml, ..change })
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
        let mut first = None;
        for toml in self.readings() {
            let Ok(value) = DeValue::parse(&toml) else { continue };
            let read = key.field(settings).read(value.get_ref());
            match read {
                Ok(()) => return Ok(key.toml(settings)),
                Err(wrong) => first = first.or(Some(wrong)),
            }
        }
        let wrong = first.unwrap_or_else(|| format!("can't be {:?}", self.value));
        Err(ChangeError::Value { key: self.key.clone(), wrong })
    }

    /// What the value may mean: TOML, a word, words between commas.
    fn readings(&self) -> [String; 3] {
        let quoted = |text: &str| toml::Value::from(text.trim()).to_string();
        let words: Vec<_> = self.value.split(',').filter(|word| !word.trim().is_empty()).map(quoted).collect();
        [self.value.clone(), quoted(&self.value), format!("[{}]", words.join(", "))]
    }
}

/// Changes the file at `path`, or nothing at all: what is left must be valid as a whole. Returns the settings after it.
///
/// # Errors
/// When the file was invalid before, a change is, or the whole would be.
pub fn change(path: &Path, changes: &[Change]) -> Result<Settings, ChangeError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Settings::default().to_commented_toml(),
        Err(source) => return Err(SettingsError::Io { path: path.to_owned(), source }.into()),
    };
    let machine = Machine::here();
    let invalid = |problems| SettingsError::Invalid { path: path.to_owned(), problems };
    // A problem that is there already is told with its line in the file as the owner knows it.
    let before = Settings::parse(&text, &machine);
    let changed = edited(&text, changes)?;
    let after = Settings::parse(&changed, &machine).map_err(|problems| invalid(before.err().unwrap_or(problems)))?;
    write(path, &changed)?;
    Ok(after)
}

fn edited(text: &str, changes: &[Change]) -> Result<String, ChangeError> {
    let syntax = |error: toml_edit::TomlError| ChangeError::Form(error.message().to_owned());
    let mut document: DocumentMut = text.parse().map_err(syntax)?;
    for change in changes {
        let toml = change.apply(&mut Settings::default())?;
        let mut value: Value = toml.parse().map_err(syntax)?;
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
