//! The tray's sentences, from the same files as the window's.

use std::collections::BTreeMap;

const ENGLISH: &str = include_str!("../../ui/src/messages/en.json");
const GERMAN: &str = include_str!("../../ui/src/messages/de.json");

/// All sentences in one language.
#[derive(Debug, Clone)]
pub(crate) struct Words(BTreeMap<String, String>);

impl Words {
    /// In the language of a POSIX locale such as `de_AT.UTF-8`; English where Surge does not speak it.
    pub(crate) fn of(locale: &str) -> Self {
        let language = locale.split(['_', '.', '@', '-']).next().unwrap_or_default();
        let file = if language.eq_ignore_ascii_case("de") { GERMAN } else { ENGLISH };
        Self(serde_json::from_str(file).expect("the message files are flat JSON objects, as the tests read them"))
    }

    /// The sentence; the key itself where a file lacks it, which the tests rule out.
    pub(crate) fn say<'a>(&'a self, key: &'a str) -> &'a str {
        self.0.get(key).map_or(key, String::as_str)
    }
}

/// The locale that messages are wanted in, by POSIX precedence.
pub(crate) fn wanted(var: impl Fn(&str) -> Option<String>) -> String {
    ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().filter_map(var).find(|value| !value.is_empty()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_have_the_same_keys() {
        let keys = |words: Words| words.0.into_keys().collect::<Vec<_>>();
        assert_eq!(keys(Words::of("de_DE.UTF-8")), keys(Words::of("C")));
    }

    #[test]
    fn lc_all_beats_lang_and_empty_means_unset() {
        let set = |vars: &'static [(&str, &str)]| {
            wanted(|name| vars.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
        };
        assert_eq!(set(&[("LANG", "de_DE.UTF-8"), ("LC_ALL", "")]), "de_DE.UTF-8");
        assert_eq!(set(&[("LANG", "de_DE.UTF-8"), ("LC_ALL", "C")]), "C");
        assert_eq!(set(&[]), "");
    }
}
