//! Puts a network's two contracts on a chain: the operator's one act.

use alloy::primitives::{Bytes, TxKind};
use alloy::sol_types::SolConstructor;
use surge_protocol::sign::Key;
use surge_protocol::{Address, B256};

use crate::bindings::{RewardToken, Settlement};
use crate::refusal::ChainError;
use crate::rpc::Rpc;
use crate::tx::Call;

/// Who may do what, and how long things take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    pub token_name: String,
    pub token_symbol: String,
    /// Grants and revokes every role, and mints.
    pub admin: Address,
    /// Proposes epochs.
    pub settler: Address,
    /// Vetoes epochs.
    pub guardian: Address,
    /// Seconds between an epoch's proposal and its finality.
    pub challenge_window: u64,
    /// Seconds between a requester's exit request and its release; no order may run longer.
    pub exit_delay: u64,
}

/// The contracts of a new network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deployed {
    pub token: Address,
    pub settlement: Address,
    pub token_tx: B256,
    pub settlement_tx: B256,
}

/// Deploys both contracts, paid by `key`.
///
/// # Errors
/// See [`ChainError`].
pub async fn deploy(rpc: &Rpc, key: &Key, deployment: &Deployment) -> Result<Deployed, ChainError> {
    let arguments = RewardToken::constructorCall {
        name: deployment.token_name.clone(),
        symbol: deployment.token_symbol.clone(),
        admin: deployment.admin,
    };
    let (token, token_tx) = create(rpc, key, &RewardToken::BYTECODE, &arguments).await?;
    let arguments = Settlement::constructorCall {
        token_: token,
        admin: deployment.admin,
        settler: deployment.settler,
        guardian: deployment.guardian,
        challengeWindow_: deployment.challenge_window,
        exitDelay_: deployment.exit_delay,
    };
    let (settlement, settlement_tx) = create(rpc, key, &Settlement::BYTECODE, &arguments).await?;
    Ok(Deployed { token, settlement, token_tx, settlement_tx })
}

async fn create(
    rpc: &Rpc,
    key: &Key,
    bytecode: &Bytes,
    arguments: &impl SolConstructor,
) -> Result<(Address, B256), ChainError> {
    let data = Bytes::from([bytecode.as_ref(), &arguments.abi_encode()].concat());
    let mined = rpc.transact(key, &Call { to: TxKind::Create, data }).await?;
    let contract = mined.contract.ok_or_else(|| ChainError::Nonsense("a deployment without a contract".into()))?;
    Ok((contract, mined.tx))
}
