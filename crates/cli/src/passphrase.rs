//! Where a passphrase comes from: a file, or the person at the terminal. Never an argument, which others can read.

use std::io::{self, BufRead, IsTerminal};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use secrecy::SecretString;
use surge_wallet::{Vault, VaultError, Wallet};

#[derive(Debug, Args)]
pub(crate) struct PassphraseArgs {
    /// Read the wallet's passphrase from this file (its first line)
    #[arg(long, env = "SURGE_PASSPHRASE_FILE", value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl PassphraseArgs {
    /// The passphrase from the file, when one is named.
    pub(crate) fn given(&self) -> Result<Option<SecretString>> {
        let Some(path) = &self.passphrase_file else { return Ok(None) };
        let text = std::fs::read_to_string(path).with_context(|| format!("{} can't be read", path.display()))?;
        Ok(Some(SecretString::from(text.lines().next().unwrap_or_default().to_owned())))
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
    use secrecy::ExposeSecret;
    let first = ask("New passphrase")?;
    let second = ask("Once more")?;
    if first.expose_secret() != second.expose_secret() {
        bail!("the two are not the same; nothing was changed");
    }
    Ok(first)
}

/// The recovery words, from standard input: typed unseen at a terminal, or piped.
pub(crate) fn words() -> Result<SecretString> {
    if io::stdin().is_terminal() {
        return ask("Recovery words");
    }
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).context("standard input can't be read")?;
    Ok(SecretString::from(line))
}
