//! The file: read with every problem at once, each with its line; written with a comment above each key.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;

use toml::de::DeTable;

use super::contradiction::contradictions;
use super::keys::{KEYS, key};
use super::problem::Problem;
use super::{Machine, Settings, SettingsError};
use crate::files;

/// A settings file with a long comment at each key has a few KiB.
const LARGEST: u64 = 256 << 10;

impl Settings {
    /// Reads `path`; a missing file is the defaults.
    ///
    /// # Errors
    /// With every problem of the file.
    pub fn load(path: &Path) -> Result<Self, SettingsError> {
        let Some(text) = read(path)? else { return Ok(Self::default()) };
        Self::parse(&text, &Machine::here())
            .map_err(|problems| SettingsError::Invalid { path: path.to_owned(), problems })
    }

    /// The settings in `text`, as they are on `machine`.
    ///
    /// # Errors
    /// Every problem, in the order of their lines.
    pub fn parse(text: &str, machine: &Machine) -> Result<Self, Vec<Problem>> {
        let (table, errors) = DeTable::parse_recoverable(text);
        let line = |span: Range<usize>| text.get(..span.start).map(|before| before.matches('\n').count() + 1);
        let mut problems: Vec<Problem> = errors
            .iter()
            .map(|error| Problem {
                line: error.span().and_then(line),
                text: error.message().trim().replace('\n', ", "),
            })
            .collect();
        let (mut settings, mut lines) = (Self::default(), Vec::new());
        for (name, value) in table.get_ref() {
            let at = line(name.span());
            let wrong = match key(name.get_ref()) {
                None => Err(unknown(name.get_ref())),
                Some(key) => {
                    lines.push((key.name, at));
                    let read = key.field(&mut settings).read(value.get_ref());
                    read.map_err(|wrong| format!("{} {wrong}", key.name))
                }
            };
            problems.extend(wrong.err().map(|text| Problem { line: at, text }));
        }
        if problems.is_empty() {
            let line_of = |key: &str| lines.iter().find(|(name, _)| *name == key).and_then(|(_, line)| *line);
            problems.extend(contradictions(&settings, machine).into_iter().map(|found| found.told(line_of)));
        }
        problems.sort_by_key(|problem| problem.line.unwrap_or(usize::MAX));
        problems.dedup();
        if problems.is_empty() { Ok(settings) } else { Err(problems) }
    }

    /// Writes all settings with a comment above each.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn save(&self, path: &Path) -> Result<(), SettingsError> {
        let _mine = lock(path)?;
        write(path, &self.to_commented_toml())
    }

    /// The file that says all of this.
    #[must_use]
    pub fn to_commented_toml(&self) -> String {
        let mut text =
            String::from("# Surge's settings. Keys left out take their defaults; a change counts at once.\n");
        for key in KEYS {
            let restart = if key.live { "" } else { " Counts from the next start." };
            write!(text, "\n# {}{restart}\n{} = {}\n", key.about, key.name, key.toml(self))
                .expect("writing to a string can't fail");
        }
        text
    }
}

/// The text of the file, if there is one.
pub(super) fn read(path: &Path) -> Result<Option<String>, SettingsError> {
    match files::read_text(path, LARGEST) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Keeps other commands from changing the file until it is dropped.
pub(super) fn lock(path: &Path) -> Result<files::Locked, SettingsError> {
    let locked = path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| files::lock(path));
    locked.map_err(|source| SettingsError::Write { path: path.to_owned(), source })
}

pub(super) fn write(path: &Path, text: &str) -> Result<(), SettingsError> {
    files::write_atomic(path, text.as_bytes(), 0o600)
        .map_err(|source| SettingsError::Write { path: path.to_owned(), source })
}

pub(super) fn unknown(name: &str) -> String {
    let nearest = KEYS.iter().map(|key| key.name).min_by_key(|known| distance(name, known));
    match nearest.filter(|known| distance(name, known) <= 3) {
        Some(known) => format!("{name} is no setting; is {known} meant?"),
        None => format!("{name} is no setting; `surge limits` shows them all"),
    }
}

/// Letters to change, add or take away to make one of the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, other) in b.iter().enumerate() {
            let here = (diagonal + usize::from(letter != *other)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], here);
        }
    }
    row[b.len()]
}
