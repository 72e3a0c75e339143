//! Where a passphrase comes from: a file, or the person at the terminal. Never an argument, which others can read.

use std::io::{self, IsTerminal, Read};
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use surge_contributor::files::read_text;
use surge_wallet::{Vault, VaultError, Wallet};

use crate::failure::Failure;

/// A passphrase, or recovery words: far less than this, bytes.
const LARGEST: u64 = 16 << 10;
/// Words that a wallet has, at least and at most.
const LEAST_WORDS: usize = 12;
const MOST_WORDS: usize = 24;

#[derive(Debug, Args)]
pub(crate) struct PassphraseArgs {
    /// Read the wallet's passphrase from this file (its first line); if not given, from the one that the variable
    /// SURGE_PASSPHRASE_FILE names
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl PassphraseArgs {
    /// The passphrase from the file, when one is named.
    pub(crate) fn given(&self) -> Result<Option<SecretString>> {
        let variable = || std::env::var_os("SURGE_PASSPHRASE_FILE").filter(|file| !file.is_empty()).map(PathBuf::from);
        let Some(path) = self.passphrase_file.clone().or_else(variable) else { return Ok(None) };
        let text = SecretString::from(read_text(&path, LARGEST)?);
        let first = text.expose_secret().lines().next().unwrap_or_default();
        if first.is_empty() {
            let message = format!("the first line of {} is empty: the passphrase must be there", path.display());
            return Err(Failure::new("bad_file", message).into());
        }
        Ok(Some(SecretString::from(first.to_owned())))
    }

    /// Unlocks the wallet, asking at the terminal for a passphrase where it needs one and none was given.
    pub(crate) fn unlock(&self, vault: &Vault) -> Result<Wallet> {
        match vault.unlock(self.given()?.as_ref()) {
            Err(VaultError::PassphraseNeeded) if io::stdin().is_terminal() => {
                Ok(vault.unlock(Some(&ask("Passphrase")?))?)
            }
            unlocked => Ok(unlocked?),
        }
    }
}

/// Asks at the terminal, without showing what is typed.
pub(crate) fn ask(what: &str) -> Result<SecretString> {
    let typed = rpassword::prompt_password(format!("{what}: ")).context("the terminal can't be read")?;
    Ok(SecretString::from(typed))
}

/// A new passphrase, typed twice.
pub(crate) fn choose() -> Result<SecretString> {
    let first = ask("New passphrase")?;
    let second = ask("Once more")?;
    if first.expose_secret() != second.expose_secret() {
        return Err(
            Failure::new("passphrases_differ", "the two are not the same: try again; nothing was changed").into()
        );
    }
    Ok(first)
}

/// The recovery words, on one line or on several: typed unseen at a terminal, where an empty line ends those on several, or
/// piped.
pub(crate) fn words() -> Result<SecretString> {
    if io::stdin().is_terminal() {
        return typed_words(ask);
    }
    let mut words = String::new();
    let read = io::stdin().lock().take(LARGEST + 1).read_to_string(&mut words);
    let words = SecretString::from(words);
    read.map_err(|error| Failure::new("bad_file", format!("the words can't be read from standard input: {error}")))?;
    if words.expose_secret().len() as u64 > LARGEST {
        return Err(
            Failure::new("bad_file", "standard input has far more than a wallet's words: give it only them").into()
        );
    }
    Ok(words)
}

fn typed_words(mut ask: impl FnMut(&str) -> Result<SecretString>) -> Result<SecretString> {
    let count = |words: &SecretString| words.expose_secret().split_whitespace().count();
    let mut words = ask("Recovery words, on one line or one by one")?;
    if count(&words) == 0 || count(&words) >= LEAST_WORDS {
        return Ok(words);
    }
    while count(&words) < MOST_WORDS {
        let next = ask(&format!("Word {}, or nothing if that was the last", count(&words) + 1))?;
        if count(&next) == 0 {
            break;
        }
        words = SecretString::from(format!("{} {}", words.expose_secret(), next.expose_secret()));
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words that come of these lines, and how many lines were asked for.
    fn type_in(lines: &[&str]) -> (String, usize) {
        let mut asked = 0;
        let words = typed_words(|_| {
            let line = lines.get(asked).copied().unwrap_or_default();
            asked += 1;
            Ok(SecretString::from(line.to_owned()))
        });
        (words.unwrap().expose_secret().to_owned(), asked)
    }

    #[test]
    fn recovery_words_are_typed_on_one_line_or_one_by_one() {
        let twelve = "a b c d e f g h i j k l";
        assert_eq!(type_in(&[twelve]), (twelve.to_owned(), 1));
        let one_by_one: Vec<_> = twelve.split(' ').collect();
        assert_eq!(type_in(&one_by_one), (twelve.to_owned(), 13), "there might be more of them");
        assert_eq!(type_in(&["a b c d e f", "g h i j k l"]), (twelve.to_owned(), 3));
        assert_eq!(type_in(&["x"; 30]).1, 24, "and never more than these");
        assert_eq!(type_in(&["a", "b", ""]), ("a b".to_owned(), 3), "what is too short is told by whoever reads it");
        assert_eq!(type_in(&[""]), (String::new(), 1));
    }
}
