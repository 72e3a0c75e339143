//! A typed client of a network's two contracts: what they hold, and what may be asked of them.
//!
//! Writes here sign and wait in one go, for keys whose owner can look at the chain after a crash (an operator, a test).
//! A wallet's own payments go through [`crate::Money`] and its journal.

use alloy::primitives::{Bytes, TxKind, U256};
use alloy::sol_types::SolCall;
use surge_protocol::epoch::{EpochError, EpochFile};
use surge_protocol::merkle::Side;
use surge_protocol::network::Network;
use surge_protocol::sign::Key;
use surge_protocol::{Address, Amount, B256};

use crate::bindings::{RewardToken, Settlement};
pub use crate::refusal::{ChainError, eth};
pub use crate::rpc::{Mined, Rpc, Timing};
use crate::tx::Call;

/// A network's contracts on its chain.
#[derive(Debug)]
pub struct Chain {
    pub(crate) rpc: Rpc,
    pub(crate) token: Address,
    pub(crate) settlement: Address,
}

/// An epoch as the chain has it. Times are unix seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochInfo {
    pub credit_root: B256,
    pub debit_root: B256,
    /// keccak256 of the epoch file.
    pub data_hash: B256,
    /// All credits since the beginning, and all debits.
    pub credits: Amount,
    pub debits: Amount,
    pub proposed_at: u64,
    /// `None` while it can still be vetoed.
    pub finalized_at: Option<u64>,
}

/// What an epoch's proposal states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    pub epoch: u64,
    pub credit_root: B256,
    pub debit_root: B256,
    pub credits: Amount,
    pub debits: Amount,
    pub data_hash: B256,
    /// Where the epoch file can be had.
    pub uri: String,
}

impl Proposal {
    /// The proposal of an epoch file.
    ///
    /// # Errors
    /// `Overflow` when its totals do not fit.
    pub fn of(file: &EpochFile, uri: String) -> Result<Self, EpochError> {
        Ok(Self {
            epoch: file.epoch,
            credit_root: file.root(Side::Credit),
            debit_root: file.root(Side::Debit),
            credits: file.total(Side::Credit)?,
            debits: file.total(Side::Debit)?,
            data_hash: file.data_hash(),
            uri,
        })
    }
}

impl Chain {
    /// Connects to the first of the network's nodes that answers.
    ///
    /// # Errors
    /// `Unreachable` or `WrongChain`.
    pub async fn connect(http: reqwest::Client, network: &Network, timing: Timing) -> Result<Self, ChainError> {
        let rpc = Rpc::connect(http, &network.rpc, Some(network.chain_id), timing).await?;
        Ok(Self { rpc, token: network.token, settlement: network.settlement })
    }

    #[must_use]
    pub fn chain_id(&self) -> u64 {
        self.rpc.chain_id()
    }

    async fn read<C: SolCall>(&self, contract: Address, call: C) -> Result<C::Return, ChainError> {
        let answer = self.rpc.call(contract, call.abi_encode().into()).await?;
        if answer.is_empty() {
            return Err(ChainError::Nonsense(format!("there is no contract at {contract}")));
        }
        C::abi_decode_returns(&answer).map_err(|error| ChainError::Nonsense(format!("{}: {error}", C::SIGNATURE)))
    }

    /// Tokens of `account`.
    ///
    /// # Errors
    /// See [`ChainError`]; the same for every read below.
    pub async fn token_balance(&self, account: Address) -> Result<Amount, ChainError> {
        amount(self.read(self.token, RewardToken::balanceOfCall { account }).await?)
    }

    /// Wei of `account`.
    ///
    /// # Errors
    /// See [`ChainError`].
    pub async fn eth_balance(&self, account: Address) -> Result<U256, ChainError> {
        self.rpc.eth_balance(account).await
    }

    /// What `account` has claimed so far.
    ///
    /// # Errors
    /// See [`ChainError`].
    pub async fn claimed(&self, account: Address) -> Result<Amount, ChainError> {
        amount(self.read(self.settlement, Settlement::claimedCall { account }).await?)
    }

    /// Deposits of `requester` less its withdrawals.
    ///
    /// # Errors
    /// See [`ChainError`].
    pub async fn deposited(&self, requester: Address) -> Result<Amount, ChainError> {
        amount(self.read(self.settlement, Settlement::depositedCall { requester }).await?)
    }

    /// When `requester` asked to leave, unix seconds; `None` when it did not.
    ///
    /// # Errors
    /// See [`ChainError`].
    pub async fn exit_requested_at(&self, requester: Address) -> Result<Option<u64>, ChainError> {
        let at = self.read(self.settlement, Settlement::exitRequestedAtCall { requester }).await?;
        Ok(Some(at).filter(|at| *at != 0))
    }

    /// Seconds between an epoch's proposal and the earliest time it may be finalized.
    ///
    /// # Errors
    /// See [`ChainError`].
    pub async fn challenge_window(&self) -> Result<u64, ChainError> {
        self.read(self.settlement, Settlement::challengeWindowCall {}).await
    }

    /// The newest finalized epoch; 0 before the first.
    ///
    /// # Errors
    /// See [`ChainError`].
    pub async fn last_epoch(&self) -> Result<u64, ChainError> {
        self.read(self.settlement, Settlement::lastEpochCall {}).await
    }

    /// An epoch, proposed or finalized; `None` when the chain has none of that number.
    ///
    /// # Errors
    /// See [`ChainError`].
    pub async fn epoch(&self, number: u64) -> Result<Option<EpochInfo>, ChainError> {
        let epoch = self.read(self.settlement, Settlement::epochsCall { number }).await?;
        if epoch.proposedAt == 0 {
            return Ok(None);
        }
        Ok(Some(EpochInfo {
            credit_root: epoch.creditRoot,
            debit_root: epoch.debitRoot,
            data_hash: epoch.dataHash,
            credits: amount(epoch.totals.creditsCum)?,
            debits: amount(epoch.totals.debitsCum)?,
            proposed_at: epoch.proposedAt,
            finalized_at: Some(epoch.finalizedAt).filter(|at| *at != 0),
        }))
    }

    async fn write(&self, key: &Key, contract: Address, call: impl SolCall) -> Result<Mined, ChainError> {
        self.rpc.transact(key, &contract_call(contract, &call)).await
    }

    /// What the settlement contract may take of `owner`'s tokens.
    ///
    /// # Errors
    /// See [`ChainError`].
    pub async fn allowance(&self, owner: Address) -> Result<Amount, ChainError> {
        let spender = self.settlement;
        let allowance = self.read(self.token, RewardToken::allowanceCall { owner, spender }).await?;
        // An unlimited allowance is no amount of the token's, and enough for any.
        Ok(Amount(allowance.saturating_to()))
    }

    /// Pays `amount` of the key's tokens into the deposit of `requester`: an approval where it is missing, then the
    /// deposit.
    ///
    /// # Errors
    /// See [`ChainError`]; the same for every write below.
    pub async fn deposit(&self, key: &Key, requester: Address, amount: Amount) -> Result<Mined, ChainError> {
        if self.allowance(key.address()).await? < amount {
            self.rpc.transact(key, &self.approve_call(amount)).await?;
        }
        self.rpc.transact(key, &self.deposit_call(requester, amount)).await
    }

    /// Proposes an epoch, with the settler's key.
    ///
    /// # Errors
    /// See [`ChainError`].
    pub async fn propose(&self, key: &Key, proposal: &Proposal) -> Result<Mined, ChainError> {
        let call = Settlement::proposeEpochCall {
            epoch: proposal.epoch,
            creditRoot: proposal.credit_root,
            debitRoot: proposal.debit_root,
            totals: Settlement::Totals {
                creditsCum: U256::from(proposal.credits.0),
                debitsCum: U256::from(proposal.debits.0),
            },
            dataHash: proposal.data_hash,
            uri: proposal.uri.clone(),
        };
        self.write(key, self.settlement, call).await
    }

    /// Finalizes a proposed epoch, with anybody's key.
    ///
    /// # Errors
    /// See [`ChainError`].
    pub async fn finalize(&self, key: &Key, epoch: u64) -> Result<Mined, ChainError> {
        self.write(key, self.settlement, Settlement::finalizeEpochCall { epoch }).await
    }

    /// Removes a proposed epoch, with the guardian's key.
    ///
    /// # Errors
    /// See [`ChainError`].
    pub async fn veto(&self, key: &Key, epoch: u64, reason: &str) -> Result<Mined, ChainError> {
        self.write(key, self.settlement, Settlement::vetoEpochCall { epoch, reason: reason.into() }).await
    }

    /// Sends tokens.
    ///
    /// # Errors
    /// See [`ChainError`].
    pub async fn transfer(&self, key: &Key, to: Address, amount: Amount) -> Result<Mined, ChainError> {
        self.rpc.transact(key, &self.transfer_call(to, amount)).await
    }

    /// Creates tokens, with a minter's key.
    ///
    /// # Errors
    /// See [`ChainError`].
    pub async fn mint(&self, key: &Key, to: Address, amount: Amount) -> Result<Mined, ChainError> {
        self.write(key, self.token, RewardToken::mintCall { to, amount: U256::from(amount.0) }).await
    }

    /// Claims what `epoch` credits to the key's account.
    ///
    /// # Errors
    /// See [`ChainError`].
    pub async fn claim(&self, key: &Key, cumulative: Amount, epoch: u64, proof: &[B256]) -> Result<Mined, ChainError> {
        self.rpc.transact(key, &self.claim_call(cumulative, epoch, proof)).await
    }

    pub(crate) fn claim_call(&self, cumulative: Amount, epoch: u64, proof: &[B256]) -> Call {
        let cumulative = U256::from(cumulative.0);
        contract_call(self.settlement, &Settlement::claimCall { cumulative, epoch, proof: proof.to_vec() })
    }

    pub(crate) fn approve_call(&self, amount: Amount) -> Call {
        let call = RewardToken::approveCall { spender: self.settlement, value: U256::from(amount.0) };
        contract_call(self.token, &call)
    }

    pub(crate) fn deposit_call(&self, requester: Address, amount: Amount) -> Call {
        contract_call(self.settlement, &Settlement::depositCall { requester, amount: U256::from(amount.0) })
    }

    pub(crate) fn transfer_call(&self, to: Address, amount: Amount) -> Call {
        contract_call(self.token, &RewardToken::transferCall { to, value: U256::from(amount.0) })
    }
}

fn contract_call(contract: Address, call: &impl SolCall) -> Call {
    Call { to: TxKind::Call(contract), data: Bytes::from(call.abi_encode()) }
}

/// The token's supply fits 128 bits; an answer that does not is no answer of this contract.
fn amount(value: U256) -> Result<Amount, ChainError> {
    u128::try_from(value).map(Amount).map_err(|_| ChainError::Nonsense(format!("an amount of {value}")))
}
