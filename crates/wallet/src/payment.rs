//! A payment and the states it goes through. Values only.

use alloy::primitives::Bytes;
use serde::{Deserialize, Serialize};
use surge_protocol::{Address, Amount, B256};

/// What a payment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// From the settlement contract into the wallet.
    Claim,
    /// From the wallet to somebody else.
    Withdraw,
    /// Lets the settlement contract take what the deposit that follows pays.
    Approve,
    /// From the wallet into escrow.
    Deposit,
}

/// How far a payment is. `draft → signed → submitted → mined → final`, with four ways aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Decided on. Nothing is signed: nothing can happen yet.
    Draft,
    /// Signed and stored. From here on it is this one transaction or none.
    Signed,
    /// Handed to the chain, perhaps: written before it is.
    Submitted,
    /// In a block that may still be replaced.
    Mined,
    /// Confirmed. Money moved.
    Final,
    /// Mined and reverted. No tokens moved; gas was paid.
    Failed,
    /// Another transaction of the account took its place. It did not happen and cannot any more.
    Replaced,
    /// Given up before it was signed. Nothing happened.
    Abandoned,
}

impl State {
    /// Whether something may still happen.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Draft | Self::Signed | Self::Submitted | Self::Mined)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Signed => "signed",
            Self::Submitted => "submitted",
            Self::Mined => "mined",
            Self::Final => "final",
            Self::Failed => "failed",
            Self::Replaced => "replaced",
            Self::Abandoned => "abandoned",
        }
    }
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Claim => "claim",
            Self::Withdraw => "withdraw",
            Self::Approve => "approve",
            Self::Deposit => "deposit",
        }
    }
}

/// What a payment has just done, for whoever shows progress. The journal holds it already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    Drafted,
    Signed,
    /// About to be handed to the chain.
    Submitted,
    /// Handed to the chain.
    Sent,
    Mined,
    Final,
}

/// A row of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Payment {
    pub id: i64,
    pub kind: Kind,
    /// The account that signs and pays the gas.
    pub account: Address,
    /// Who gets the tokens.
    pub to: Address,
    pub amount: Amount,
    /// The epoch that a claim is proven by.
    pub epoch: Option<u64>,
    pub state: State,
    pub tx: Option<B256>,
    pub nonce: Option<u64>,
    pub block: Option<u64>,
    /// Why it failed or was given up.
    pub problem: Option<String>,
    /// Unix seconds.
    pub created_at: u64,
    pub updated_at: u64,
    /// Whether its end was reported to whoever asked for it.
    pub acknowledged: bool,
    #[serde(skip)]
    pub(crate) contract: Address,
    #[serde(skip)]
    pub(crate) data: Bytes,
    #[serde(skip)]
    pub(crate) raw: Option<Bytes>,
    #[serde(skip)]
    pub(crate) block_hash: Option<B256>,
}
