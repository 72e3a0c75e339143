//! What the coordinator needs of the chain, and nothing more.
//!
//! Deliberately absent: RPC, gas, nonces (see `surge-wallet`). A seam, so that settlement can be tested with a chain
//! that fails at will.

pub mod evm;

use std::fmt;

use futures::future::BoxFuture;
use surge_protocol::epoch::EpochFile;
use surge_protocol::{Address, Amount, B256};
use thiserror::Error;

/// Why the chain did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ChainError {
    /// Nobody answered: ask again later.
    #[error("the chain does not answer: {0}")]
    Unreachable(String),
    /// It answered no.
    #[error("the chain refused: {0}")]
    Refused(String),
}

/// A requester's escrow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Escrow {
    pub deposited: Amount,
    /// It asked to leave: no new orders.
    pub leaving: bool,
}

/// An epoch as the chain has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainEpoch {
    pub data_hash: B256,
    pub finalized: bool,
    /// Unix seconds from which it may be finalized.
    pub finalizable_at: u64,
}

/// The network's contracts on its chain.
pub trait Chain: fmt::Debug + Send + Sync + 'static {
    fn chain_id(&self) -> BoxFuture<'_, Result<u64, ChainError>>;
    fn escrow(&self, requester: Address) -> BoxFuture<'_, Result<Escrow, ChainError>>;
    /// The epoch of that number, proposed or finalized; `None` when the chain has none.
    fn epoch(&self, number: u64) -> BoxFuture<'_, Result<Option<ChainEpoch>, ChainError>>;
    /// Proposes an epoch and waits until that is mined; the transaction.
    fn propose<'a>(&'a self, file: &'a EpochFile) -> BoxFuture<'a, Result<B256, ChainError>>;
    /// Finalizes a proposed epoch and waits until that is mined; the transaction.
    fn finalize(&self, number: u64) -> BoxFuture<'_, Result<B256, ChainError>>;
}
