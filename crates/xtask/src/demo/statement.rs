//! What the demo states at the end, on the terminal and as JSON under stable keys.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::outside::Outside;
use super::person::Person;
use crate::run::step;

const ONE: u128 = 10u128.pow(18);

/// What became of one contributor, by the coordinator's ledger.
#[derive(Debug)]
pub(crate) struct Contributor {
    pub(crate) name: String,
    pub(crate) accepted: u64,
    pub(crate) rejected: u64,
    /// All that the ledger credited, base units.
    pub(crate) earned: u128,
}

impl Contributor {
    pub(crate) fn read(person: &Person, outside: &Outside) -> Result<Self> {
        let account: Value = outside.get(&format!("/v1/accounts/{}", person.address))?;
        let number = |key: &str| account[key].as_u64().with_context(|| format!("no {key} in {account}"));
        Ok(Self {
            name: person.name.clone(),
            accepted: number("accepted")?,
            rejected: number("rejected")?,
            earned: super::amount(&account, "credited")?,
        })
    }
}

#[derive(Debug)]
pub(crate) struct Statement {
    pub(crate) seed: u64,
    pub(crate) tasks_validated: u64,
    pub(crate) tasks_rejected: u64,
    pub(crate) picture: PathBuf,
    pub(crate) rpc: String,
    pub(crate) coordinator: String,
    pub(crate) token: String,
    pub(crate) requester: String,
    pub(crate) recipient: String,
    /// Amounts of the first contributor, base units: by the ledger, by the claim, by the withdrawal, and by `balanceOf`.
    pub(crate) earned: u128,
    pub(crate) claimed: u128,
    pub(crate) withdrawn: u128,
    pub(crate) recipient_balance: u128,
    pub(crate) wallet_balance: u128,
    pub(crate) epoch: u64,
    pub(crate) epoch_tx: String,
    pub(crate) claim_tx: String,
    pub(crate) withdraw_tx: String,
    pub(crate) contributors: Vec<Contributor>,
    /// From the first process to this statement.
    pub(crate) seconds: f64,
}

impl Statement {
    /// What must be true to the base unit, or there is no statement.
    pub(crate) fn check(&self) -> Result<()> {
        ensure!(self.earned > 0, "ada earned nothing");
        ensure!(self.claimed == self.earned, "the ledger credits {}, the chain paid {}", self.earned, self.claimed);
        ensure!(
            self.recipient_balance == self.withdrawn,
            "{} was withdrawn, the recipient holds {}",
            self.withdrawn,
            self.recipient_balance
        );
        ensure!(
            self.wallet_balance == self.claimed - self.withdrawn,
            "the wallet holds {}, expected {} − {}",
            self.wallet_balance,
            self.claimed,
            self.withdrawn
        );
        let mallory = self.contributors.last().context("three contributors")?;
        ensure!(mallory.rejected > 0, "no result of mallory's was rejected");
        ensure!(mallory.earned == 0 && mallory.accepted == 0, "mallory was paid {}", mallory.earned);
        Ok(())
    }

    pub(crate) fn print(&self) {
        step("statement");
        let row = |name: &str, value: &str| println!("  {name:<22}{value}");
        row("tasks validated", &self.tasks_validated.to_string());
        row("results rejected", &self.tasks_rejected.to_string());
        for person in &self.contributors {
            let Contributor { name, accepted, rejected, earned } = person;
            row(name, &format!("{accepted} accepted, {rejected} rejected, earned {} SURGE", tokens(*earned)));
        }
        row("epoch", &format!("{} finalized by {}", self.epoch, self.epoch_tx));
        row("ada claimed", &format!("{} SURGE by {}", tokens(self.claimed), self.claim_tx));
        row("ada withdrew", &format!("{} SURGE by {}", tokens(self.withdrawn), self.withdraw_tx));
        row("  to", &format!("{} (holds no ETH)", self.recipient));
        row(
            "balances on chain",
            &format!("recipient {}, ada {}", tokens(self.recipient_balance), tokens(self.wallet_balance)),
        );
        row(
            "ledger = chain",
            &format!("{} = {} + {} base units", self.earned, self.recipient_balance, self.wallet_balance),
        );
        row("picture", &self.picture.display().to_string());
        row("time", &format!("{:.1} s", self.seconds));
    }

    pub(crate) fn write(&self, file: &Path) -> Result<()> {
        let contributors: Vec<_> = self
            .contributors
            .iter()
            .map(|it| json!({ "name": it.name, "accepted": it.accepted, "rejected": it.rejected, "earned": it.earned.to_string() }))
            .collect();
        let all = json!({
            "seed": self.seed,
            "tasks_validated": self.tasks_validated,
            "tasks_rejected": self.tasks_rejected,
            "picture": self.picture,
            "rpc": self.rpc,
            "coordinator": self.coordinator,
            "token": self.token,
            "requester": self.requester,
            "recipient": self.recipient,
            "earned": self.earned.to_string(),
            "claimed": self.claimed.to_string(),
            "withdrawn": self.withdrawn.to_string(),
            "recipient_balance": self.recipient_balance.to_string(),
            "wallet_balance": self.wallet_balance.to_string(),
            "epoch": self.epoch,
            "epoch_tx": self.epoch_tx,
            "claim_tx": self.claim_tx,
            "withdraw_tx": self.withdraw_tx,
            "contributors": contributors,
            "seconds": (self.seconds * 10.0).round() / 10.0,
        });
        std::fs::write(file, serde_json::to_vec_pretty(&all)?)
            .with_context(|| format!("{} can't be written", file.display()))
    }
}

/// Base units as whole tokens with as many decimals as are needed.
pub(crate) fn tokens(base: u128) -> String {
    let decimals = format!("{:018}", base % ONE);
    let text = format!("{}.{}", base / ONE, decimals);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::tokens;

    #[test]
    fn tokens_are_never_rounded() {
        assert_eq!(tokens(0), "0");
        assert_eq!(tokens(10u128.pow(18)), "1");
        assert_eq!(tokens(10u128.pow(17) + 1), "0.100000000000000001");
    }
}
