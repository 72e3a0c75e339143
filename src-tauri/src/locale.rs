//! The language that the owner reads.

/// The locale that messages are wanted in, as gettext chooses it: `LANGUAGE` holds the first choice where the locale is not
/// `C`, and the locale is the first of `LC_ALL`, `LC_MESSAGES`, `LANG` that is set.
pub(crate) fn wanted(var: impl Fn(&str) -> Option<String>) -> String {
    let set = |name: &str| var(name).filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(set).unwrap_or_default();
    if matches!(locale.split('.').next(), Some("" | "C" | "POSIX")) {
        return locale;
    }
    let choices = set("LANGUAGE").unwrap_or_default();
    choices.split(':').find(|choice| !choice.is_empty()).map_or(locale, str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_language_that_is_set_holds() {
        let set = |vars: &'static [(&str, &str)]| {
            wanted(|name| vars.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
        };
        assert_eq!(set(&[("LANG", "de_DE.UTF-8"), ("LC_ALL", "")]), "de_DE.UTF-8");
        assert_eq!(set(&[("LANG", "de_DE.UTF-8"), ("LC_ALL", "C")]), "C");
        assert_eq!(set(&[("LANG", "en_GB.UTF-8"), ("LANGUAGE", "de:en")]), "de");
        assert_eq!(set(&[("LANG", "C.UTF-8"), ("LANGUAGE", "de")]), "C.UTF-8");
        assert_eq!(set(&[]), "");
    }
}
