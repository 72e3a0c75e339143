//! Somebody with a home folder and a wallet, who uses `surge` as anybody would.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::run;

/// A program of the demo: all that it talks to is on this machine, where no proxy leads.
pub(crate) fn without_proxy(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
    command
}

#[derive(Debug)]
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) home: PathBuf,
    /// Where the wallet has no keychain to lean on.
    passphrase: Option<PathBuf>,
    surge: PathBuf,
    pub(crate) address: String,
}

impl Person {
    /// A person with a fresh wallet, attached to the network at `network`.
    pub(crate) fn new(name: &str, homes: &Path, surge: &Path, network: &str) -> Result<Self> {
        let home = homes.join(name);
        let mut person =
            Self { name: name.into(), home, passphrase: None, surge: surge.into(), address: String::new() };
        person.ask(&["attach", network])?;
        person.address = person.new_wallet()?;
        Ok(person)
    }

    /// The system's keychain keeps the wallet where there is one; else a passphrase made for this run does.
    fn new_wallet(&mut self) -> Result<String> {
        let answer = match self.ask(&["wallet", "new"]) {
            Err(error) if error.to_string().contains("wallet_passphrase_required") => {
                let file = self.home.join("passphrase");
                let mut random = [0; 24];
                getrandom::fill(&mut random).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
                std::fs::write(&file, hex::encode(random))?;
                std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
                self.passphrase = Some(file);
                self.ask(&["wallet", "new"])?
            }
            answer => answer?,
        };
        text(&answer, "address")
    }

    /// Whether the wallet leans on a passphrase of this run.
    pub(crate) fn uses_passphrase(&self) -> bool {
        self.passphrase.is_some()
    }

    /// A command with this person's home.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = without_proxy(program);
        command.env("SURGE_HOME", &self.home).env_remove("SURGE_WORKER");
        if let Some(file) = &self.passphrase {
            command.env("SURGE_PASSPHRASE_FILE", file);
        }
        command
    }

    /// Runs `surge … --json` and reads the answer.
    pub(crate) fn ask(&self, args: &[&str]) -> Result<Value> {
        let answer = run::output(self.command(&self.surge).args(args).arg("--json"))?;
        serde_json::from_str(&answer).with_context(|| format!("surge {} printed no JSON", args.join(" ")))
    }
}

impl Drop for Person {
    /// A wallet of a demo leaves nothing in the system's keychain.
    fn drop(&mut self) {
        if self.passphrase.is_none() && !self.address.is_empty() {
            let deleted = self.ask(&["wallet", "delete", "--confirm", &self.address]);
            if let Err(error) = deleted {
                run::say(format_args!("{}'s key stays in the keychain: {error:#}", self.name));
            }
        }
    }
}

/// A text in an answer.
pub(crate) fn text(answer: &Value, key: &str) -> Result<String> {
    answer[key].as_str().map(str::to_owned).with_context(|| format!("no {key} in {answer}"))
}

/// An amount in an answer, base units.
pub(crate) fn amount(answer: &Value, key: &str) -> Result<u128> {
    text(answer, key)?.parse().with_context(|| format!("{key} is no amount in {answer}"))
}
