//! Why a chain did not do what it was asked: in words for people, and as a stable code.

use alloy::primitives::{Bytes, U256};
use serde::Deserialize;
use serde_json::Value;
use surge_protocol::{Address, B256};
use thiserror::Error;

use crate::bindings::revert_reason;

/// Why a chain did not do what it was asked.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum ChainError {
    #[error("no node of the chain answers ({0}). Check the connection; nothing was lost, try again later.")]
    Unreachable(String),
    #[error(
        "the node is on chain {actual}, and this network is on chain {expected}. Check the network's RPC addresses."
    )]
    WrongChain { expected: u64, actual: u64 },
    #[error("the chain refused: {message}")]
    Refused { code: i64, message: String },
    #[error("the contract refused: {0}")]
    Reverted(String),
    #[error("transaction {tx} was mined and failed: {reason}. It moved no tokens.")]
    Failed { tx: B256, reason: String },
    #[error(
        "transaction {tx} was not confirmed within {seconds} s. It may still be; do not send it again by other means."
    )]
    Unconfirmed { tx: B256, seconds: u64 },
    #[error(
        "there is not enough ETH at {account} to pay for gas: it has {}, up to {} is needed, {} is missing. \
         Send some there and try again.", eth(*have), eth(*need), eth(need.saturating_sub(*have))
    )]
    NotEnoughEth { account: Address, have: U256, need: U256 },
    #[error("the chain's answer makes no sense: {0}")]
    Nonsense(String),
}

impl ChainError {
    /// A stable word, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "chain_unreachable",
            Self::WrongChain { .. } => "chain_wrong",
            Self::Refused { .. } => "chain_refused",
            Self::Reverted(_) => "chain_reverted",
            Self::Failed { .. } => "chain_tx_failed",
            Self::Unconfirmed { .. } => "chain_unconfirmed",
            Self::NotEnoughEth { .. } => "chain_not_enough_eth",
            Self::Nonsense(_) => "chain_nonsense",
        }
    }
}

/// Wei as ETH, every digit.
#[must_use]
pub fn eth(wei: U256) -> String {
    let text = format!("{wei:0>19}");
    let (whole, part) = text.split_at(text.len() - 18);
    match part.trim_end_matches('0') {
        "" => format!("{whole} ETH"),
        part => format!("{whole}.{part} ETH"),
    }
}

/// A node's own error.
#[derive(Deserialize)]
pub(crate) struct Refusal {
    code: i64,
    message: String,
    #[serde(default)]
    data: Value,
}

impl From<Refusal> for ChainError {
    fn from(refusal: Refusal) -> Self {
        let data = refusal.data.as_str().and_then(|text| text.parse::<Bytes>().ok());
        if let Some(reason) = data.and_then(|data| revert_reason(&data)) {
            return Self::Reverted(reason);
        }
        if refusal.message.contains("execution reverted") {
            return Self::Reverted(refusal.message);
        }
        Self::Refused { code: refusal.code, message: refusal.message }
    }
}

/// Nodes say in many words that they have a transaction.
pub(crate) fn is_known(message: &str) -> bool {
    let message = message.to_lowercase();
    ["already known", "already imported", "already exists", "known transaction"]
        .iter()
        .any(|text| message.contains(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eth_is_shown_to_the_last_digit() {
        assert_eq!(eth(U256::ZERO), "0 ETH");
        assert_eq!(eth(U256::from(1)), "0.000000000000000001 ETH");
        assert_eq!(eth(U256::from(12) * U256::from(10).pow(U256::from(17))), "1.2 ETH");
    }

    #[test]
    fn a_refusal_that_means_it_is_there_already_is_known() {
        assert!(is_known("already known") && is_known("Transaction already imported"));
        assert!(!is_known("nonce too low"));
    }
}
