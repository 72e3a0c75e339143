//! The kinds of value that a setting can have, each with how it is read from TOML and written.

use std::collections::BTreeSet;
use std::path::PathBuf;

use toml::de::DeValue;

use super::{PresenceSetting, SandboxSetting};
use crate::gate::UseKind;
use crate::schedule::{Schedule, Window};

/// One value of the settings, of whichever kind.
pub(super) trait Field {
    /// # Errors
    /// With what is wrong, as the end of a sentence that begins with the key.
    fn read(&mut self, value: &DeValue<'_>) -> Result<(), String>;

    /// Reads what a person typed: TOML as in the file, and texts without their quotes.
    ///
    /// # Errors
    /// As [`Field::read`].
    fn read_typed(&mut self, text: &str) -> Result<(), String> {
        match DeValue::parse(text) {
            Ok(value) if !text.is_empty() => self.read(value.get_ref()),
            _ => self.read(&DeValue::String(text.into())),
        }
    }

    /// As it stands in the file.
    fn toml(&self) -> String;
}

/// A whole number within bounds.
pub(super) struct Number<'a, T> {
    pub(super) slot: &'a mut T,
    pub(super) least: u64,
    pub(super) most: u64,
    /// Allowed besides, for "by itself" or "never".
    pub(super) zero: bool,
}

impl<T: TryFrom<u64> + Copy + Into<u64>> Field for Number<'_, T> {
    fn read(&mut self, value: &DeValue<'_>) -> Result<(), String> {
        let text = value.as_integer().map(|number| (number.as_str().replace('_', ""), number.radix()));
        let (text, radix) = text.ok_or_else(|| format!("is {}, it must be a whole number", told(value)))?;
        let (least, most) = (self.least, self.most);
        let allowed = || format!("is {text}, allowed is {}{least} to {most}", if self.zero { "0, and " } else { "" });
        let number = u64::from_str_radix(&text, radix).map_err(|_| allowed())?;
        let within = (least..=most).contains(&number) || (self.zero && number == 0);
        *self.slot = T::try_from(number).ok().filter(|_| within).ok_or_else(allowed)?;
        Ok(())
    }

    fn toml(&self) -> String {
        let number: u64 = (*self.slot).into();
        number.to_string()
    }
}

impl Field for &mut bool {
    fn read(&mut self, value: &DeValue<'_>) -> Result<(), String> {
        **self = value.as_bool().ok_or_else(|| format!("is {}, it must be true or false", told(value)))?;
        Ok(())
    }

    fn toml(&self) -> String {
        self.to_string()
    }
}

/// One of a few words.
pub(super) trait Word: Copy + PartialEq + 'static {
    const ALL: &'static [(&'static str, Self)];

    fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, value)| *value == self).map_or("", |(word, _)| word)
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(word, _)| *word == text).map(|(_, value)| *value)
    }

    fn allowed() -> String {
        let words: Vec<_> = Self::ALL.iter().map(|(word, _)| quoted(word)).collect();
        words.join(", ")
    }
}

impl Word for PresenceSetting {
    const ALL: &'static [(&'static str, Self)] =
        &[("auto", Self::Auto), ("sessions", Self::Sessions), ("headless", Self::Headless)];
}

impl Word for SandboxSetting {
    const ALL: &'static [(&'static str, Self)] = &[("full", Self::Full), ("seccomp-only", Self::SeccompOnly)];
}

impl Word for UseKind {
    const ALL: &'static [(&'static str, Self)] = &[
        (Self::FullScreen.name(), Self::FullScreen),
        (Self::Film.name(), Self::Film),
        (Self::Call.name(), Self::Call),
        (Self::Gamepad.name(), Self::Gamepad),
    ];
}

pub(super) struct OneOf<'a, T>(pub(super) &'a mut T);

impl<T: Word> Field for OneOf<'_, T> {
    fn read(&mut self, value: &DeValue<'_>) -> Result<(), String> {
        let known = value.as_str().and_then(T::parse);
        *self.0 = known.ok_or_else(|| format!("is {}, allowed is {}", told(value), T::allowed()))?;
        Ok(())
    }

    fn read_typed(&mut self, text: &str) -> Result<(), String> {
        self.read(&DeValue::String(unquoted(text).into()))
    }

    fn toml(&self) -> String {
        quoted(self.0.word())
    }
}

/// A path, or "" for none.
pub(super) struct File<'a>(pub(super) &'a mut Option<PathBuf>);

impl Field for File<'_> {
    fn read(&mut self, value: &DeValue<'_>) -> Result<(), String> {
        let path = value.as_str().ok_or_else(|| format!("is {}, it must be a path in quotes", told(value)))?;
        if path.starts_with('~') {
            return Err(format!("is {}, and only a shell knows what ~ is: write the whole path", told(value)));
        }
        *self.0 = (!path.is_empty()).then(|| PathBuf::from(path));
        Ok(())
    }

    fn read_typed(&mut self, text: &str) -> Result<(), String> {
        self.read(&DeValue::String(unquoted(text).into()))
    }

    fn toml(&self) -> String {
        quoted(&self.0.as_ref().map(|path| path.to_string_lossy()).unwrap_or_default())
    }
}

/// A list of texts, each of which means something.
pub(super) trait Item: Sized {
    /// # Errors
    /// With what is wrong about `text`.
    fn parse(text: &str) -> Result<Self, String>;
    fn text(&self) -> String;

    /// The items of a list as a person types it, without brackets; commas and semicolons stand between them.
    fn split(text: &str) -> Vec<String> {
        pieces(text, &[',', ';', '\n'])
    }
}

impl Item for String {
    fn parse(text: &str) -> Result<Self, String> {
        let name = text.trim();
        if name.is_empty() || name.contains('/') {
            return Err(format!("has {text:?}, a program is named without its folder, as in \"vlc\""));
        }
        Ok(name.to_owned())
    }

    fn text(&self) -> String {
        self.clone()
    }
}

impl Item for UseKind {
    fn parse(text: &str) -> Result<Self, String> {
        <Self as Word>::parse(text).ok_or_else(|| format!("has {text:?}, allowed is {}", Self::allowed()))
    }

    fn text(&self) -> String {
        self.name().to_owned()
    }
}

impl Item for Window {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|error: crate::schedule::ScheduleError| format!("is wrong: {error}"))
    }

    fn text(&self) -> String {
        self.to_string()
    }

    /// The days of a window have commas between them as well: a comma ends a window only behind its times.
    fn split(text: &str) -> Vec<String> {
        let mut windows = Vec::new();
        for piece in pieces(text, &[';', '\n']) {
            let mut window = String::new();
            for part in piece.split(',') {
                window.push_str(if window.is_empty() { part.trim_start() } else { part });
                if part.contains(':') {
                    windows.push(std::mem::take(&mut window));
                } else {
                    window.push(',');
                }
            }
            windows.extend(Some(window.trim_end_matches(',').to_owned()).filter(|rest| !rest.is_empty()));
        }
        windows
    }
}

pub(super) struct Set<'a, T>(pub(super) &'a mut BTreeSet<T>);

impl<T: Item + Ord> Field for Set<'_, T> {
    fn read(&mut self, value: &DeValue<'_>) -> Result<(), String> {
        *self.0 = items(value)?.into_iter().collect();
        Ok(())
    }

    fn read_typed(&mut self, text: &str) -> Result<(), String> {
        *self.0 = typed_items(text)?.into_iter().collect();
        Ok(())
    }

    fn toml(&self) -> String {
        list(&*self.0)
    }
}

pub(super) struct Week<'a>(pub(super) &'a mut Schedule);

impl Field for Week<'_> {
    fn read(&mut self, value: &DeValue<'_>) -> Result<(), String> {
        *self.0 = Schedule::new(items(value)?);
        Ok(())
    }

    fn read_typed(&mut self, text: &str) -> Result<(), String> {
        *self.0 = Schedule::new(typed_items(text)?);
        Ok(())
    }

    fn toml(&self) -> String {
        list(self.0.windows())
    }
}

fn items<T: Item>(value: &DeValue<'_>) -> Result<Vec<T>, String> {
    if let Some(text) = value.as_str() {
        // What is wrong in the text is worth more to know than that it should stand in brackets.
        let items: Vec<T> = typed_items(text)?;
        return Err(format!("is {}, it must be a list: {}", told(value), list(&items)));
    }
    let items = value.as_array().ok_or_else(|| format!("is {}, it must be a list of texts", told(value)))?;
    let text = |item: &DeValue<'_>| match item.as_str() {
        Some(text) => T::parse(text),
        None => Err(format!("has {} in its list, where texts in quotes must be", told(item))),
    };
    items.iter().map(|item| text(item.get_ref())).collect()
}

/// A list as a person types it: as in the file, in brackets, or without them and without quotes.
fn typed_items<T: Item>(text: &str) -> Result<Vec<T>, String> {
    let text = text.trim();
    if !text.starts_with('[') {
        return T::split(text).iter().map(|item| T::parse(item)).collect();
    }
    match DeValue::parse(text) {
        Ok(value) => items(value.get_ref()),
        // The shell has taken the quotes away, as in ["a"] without quotes around it.
        Err(_) => {
            let inside = text.trim_start_matches('[').trim_end_matches(']');
            T::split(inside).iter().map(|item| T::parse(item)).collect()
        }
    }
}

/// What stands between the separators in `text`, unless they are in quotes; without its quotes, and nothing that is empty.
fn pieces(text: &str, separators: &[char]) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut quote = None;
    for c in text.chars() {
        match quote {
            None if separators.contains(&c) => {
                pieces.push(String::new());
                continue;
            }
            None if c == '"' => quote = Some(c),
            Some(open) if open == c => quote = None,
            _ => {}
        }
        if let Some(piece) = pieces.last_mut() {
            piece.push(c);
        }
    }
    pieces.iter().map(|piece| unquoted(piece.trim())).filter(|piece| !piece.is_empty()).collect()
}

/// The text without quotes that stand around it, if they do.
fn unquoted(text: &str) -> String {
    let quoted = DeValue::parse(text).ok().and_then(|value| value.get_ref().as_str().map(str::to_owned));
    quoted.unwrap_or_else(|| text.to_owned())
}

fn list<'a, T: Item + 'a>(items: impl IntoIterator<Item = &'a T>) -> String {
    let items: Vec<_> = items.into_iter().map(|item| quoted(&item.text())).collect();
    format!("[{}]", items.join(", "))
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// A value as people read it in an error.
fn told(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("{text:?}"),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(flag) => flag.to_string(),
        other => format!("of the kind {}", other.type_str()),
    }
}
