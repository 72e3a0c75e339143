//! JSON-RPC to a chain: a list of nodes tried in order, every answer within a time limit, transactions with explicit
//! nonces, receipts that are looked at.
//!
//! It knows no contract. It keeps no nonce between calls: what the chain says is what counts.

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use alloy::primitives::{Bytes, TxKind, U64, U256};
use reqwest::Client;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use surge_protocol::sign::Key;
use surge_protocol::{Address, B256};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::refusal::{ChainError, Refusal, is_known};
use crate::tx::{Call, SignedTx, Terms, sign};

/// How long to wait for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// For one answer of one node.
    pub answer: Duration,
    /// For a transaction to be mined and confirmed.
    pub mining: Duration,
    /// Blocks that must hold a transaction: 1 is the block it is in.
    pub confirmations: u64,
}

impl Default for Timing {
    fn default() -> Self {
        Self { answer: Duration::from_secs(10), mining: Duration::from_secs(180), confirmations: 1 }
    }
}

/// A transaction in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mined {
    pub tx: B256,
    pub block: u64,
    pub block_hash: B256,
    /// Whether it did what it was sent for.
    pub success: bool,
    /// What a deployment created.
    pub contract: Option<Address>,
}

/// The nodes of one chain.
pub struct Rpc {
    http: Client,
    urls: Vec<String>,
    /// The node that answered last.
    current: AtomicUsize,
    next_id: AtomicU64,
    chain_id: u64,
    timing: Timing,
    /// One transaction at a time: the next nonce is known only when the last transaction is.
    sending: Mutex<()>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Receipt {
    transaction_hash: B256,
    block_number: Option<U64>,
    block_hash: Option<B256>,
    status: Option<U64>,
    contract_address: Option<Address>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Block {
    base_fee_per_gas: Option<U256>,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    result: Value,
    error: Option<Refusal>,
}

/// The share by which an estimate of gas is raised, for what may change until it runs.
const GAS_MARGIN_PERCENT: u64 = 25;
const FIRST_POLL: Duration = Duration::from_millis(50);
const SLOWEST_POLL: Duration = Duration::from_secs(2);

impl Rpc {
    /// Connects by `http` to the first of `urls` that answers. With `chain_id` it must be that chain.
    ///
    /// # Errors
    /// `Unreachable` or `WrongChain`.
    pub async fn connect(
        http: Client,
        urls: &[String],
        chain_id: Option<u64>,
        timing: Timing,
    ) -> Result<Self, ChainError> {
        let mut rpc = Self {
            http,
            urls: urls.to_vec(),
            current: AtomicUsize::new(0),
            next_id: AtomicU64::new(1),
            chain_id: 0,
            timing,
            sending: Mutex::new(()),
        };
        rpc.chain_id = rpc.ask::<U64>("eth_chainId", json!([])).await?.to();
        match chain_id {
            Some(expected) if expected != rpc.chain_id => {
                Err(ChainError::WrongChain { expected, actual: rpc.chain_id })
            }
            _ => Ok(rpc),
        }
    }

    #[must_use]
    pub fn chain_id(&self) -> u64 {
        self.chain_id
    }

    #[must_use]
    pub fn timing(&self) -> Timing {
        self.timing
    }

    /// Asks the node that answered last, then the others. A refusal is an answer.
    async fn ask<T: DeserializeOwned>(&self, method: &str, params: Value) -> Result<T, ChainError> {
        let first = self.current.load(Ordering::Relaxed);
        let mut failures = Vec::new();
        for offset in 0..self.urls.len() {
            let index = (first + offset) % self.urls.len();
            match self.ask_one(&self.urls[index], method, &params).await {
                Err(Silence(reason)) => failures.push(format!("{}: {reason}", host(&self.urls[index]))),
                Ok(answer) => {
                    self.current.store(index, Ordering::Relaxed);
                    return answer.and_then(|value| {
                        serde_json::from_value(value)
                            .map_err(|error| ChainError::Nonsense(format!("{method}: {error}")))
                    });
                }
            }
        }
        Err(ChainError::Unreachable(if failures.is_empty() { "none is known".into() } else { failures.join("; ") }))
    }

    async fn ask_one(&self, url: &str, method: &str, params: &Value) -> Result<Result<Value, ChainError>, Silence> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let body = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let exchange = async {
            let response = self.http.post(url).json(&body).send().await?;
            let status = response.status();
            response.bytes().await.map(|bytes| (status, bytes))
        };
        let (status, bytes) = tokio::time::timeout(self.timing.answer, exchange)
            .await
            .map_err(|_| Silence(format!("no answer in {} s", self.timing.answer.as_secs())))?
            .map_err(|error| Silence(plain(&error)))?;
        let answer: Answer =
            serde_json::from_slice(&bytes).map_err(|_| Silence(format!("HTTP {status}, not JSON-RPC")))?;
        Ok(answer.error.map_or(Ok(answer.result), |refusal| Err(refusal.into())))
    }

    /// Calls a contract without a transaction, on the newest block.
    pub(crate) async fn call(&self, to: Address, data: Bytes) -> Result<Bytes, ChainError> {
        self.ask("eth_call", json!([{ "to": to, "data": data }, "latest"])).await
    }

    /// # Errors
    /// See [`ChainError`].
    pub async fn eth_balance(&self, account: Address) -> Result<U256, ChainError> {
        self.ask("eth_getBalance", json!([account, "latest"])).await
    }

    /// The number of transactions of `account` in blocks.
    pub(crate) async fn mined_nonce(&self, account: Address) -> Result<u64, ChainError> {
        self.ask::<U64>("eth_getTransactionCount", json!([account, "latest"])).await.map(|nonce| nonce.to())
    }

    /// The same with those that wait to be mined.
    pub(crate) async fn pending_nonce(&self, account: Address) -> Result<u64, ChainError> {
        self.ask::<U64>("eth_getTransactionCount", json!([account, "pending"])).await.map(|nonce| nonce.to())
    }

    async fn head(&self) -> Result<u64, ChainError> {
        self.ask::<U64>("eth_blockNumber", json!([])).await.map(|number| number.to())
    }

    /// What `call` by `from` may cost, with `nonce`. A call that would be reverted is an error here, before anything is
    /// signed; so is an account that can't pay.
    pub(crate) async fn terms(&self, from: Address, call: &Call, nonce: u64) -> Result<Terms, ChainError> {
        let gas: U64 = self.ask("eth_estimateGas", json!([request(from, call), "pending"])).await?;
        let gas_limit = gas.to::<u64>().saturating_mul(100 + GAS_MARGIN_PERCENT) / 100;
        let block: Block = self.ask("eth_getBlockByNumber", json!(["latest", false])).await?;
        let tip: U256 = self.ask("eth_maxPriorityFeePerGas", json!([])).await?;
        let max_fee = block.base_fee_per_gas.unwrap_or_default().saturating_mul(U256::from(2)).saturating_add(tip);
        let fits =
            |wei: U256| u128::try_from(wei).map_err(|_| ChainError::Nonsense(format!("a gas price of {wei} wei")));
        let terms = Terms { nonce, gas_limit, max_fee: fits(max_fee)?, max_tip: fits(tip)? };
        let have = self.eth_balance(from).await?;
        let need = terms.most();
        if have < need { Err(ChainError::NotEnoughEth { account: from, have, need }) } else { Ok(terms) }
    }

    /// Hands a signed transaction to the chain. One that the chain knows already is no error.
    pub(crate) async fn broadcast(&self, raw: &Bytes) -> Result<(), ChainError> {
        match self.ask::<B256>("eth_sendRawTransaction", json!([raw])).await {
            Err(ChainError::Refused { message, .. }) if is_known(&message) => Ok(()),
            result => result.map(drop),
        }
    }

    /// Where `tx` is, `None` while it is in no block.
    pub(crate) async fn mined(&self, tx: B256) -> Result<Option<Mined>, ChainError> {
        let receipt: Option<Receipt> = self.ask("eth_getTransactionReceipt", json!([tx])).await?;
        Ok(receipt.and_then(|receipt| {
            Some(Mined {
                tx: receipt.transaction_hash,
                block: receipt.block_number?.to(),
                block_hash: receipt.block_hash?,
                success: receipt.status == Some(U64::from(1)),
                contract: receipt.contract_address,
            })
        }))
    }

    /// Whether enough blocks hold `mined`.
    pub(crate) async fn is_confirmed(&self, mined: &Mined) -> Result<bool, ChainError> {
        Ok(self.head().await? + 1 >= mined.block + self.timing.confirmations)
    }

    /// Waits until `tx` is mined and confirmed. A node that does not answer meanwhile is asked again until time is up.
    ///
    /// # Errors
    /// `Unconfirmed` when time is up.
    pub(crate) async fn wait(&self, tx: B256) -> Result<Mined, ChainError> {
        let mut poll = Poll::new(self.timing.mining);
        loop {
            match self.look(tx).await {
                Ok(Some(mined)) => return Ok(mined),
                Ok(None) | Err(ChainError::Unreachable(_)) => {}
                Err(error) => return Err(error),
            }
            if !poll.pause().await {
                return Err(ChainError::Unconfirmed { tx, seconds: self.timing.mining.as_secs() });
            }
        }
    }

    async fn look(&self, tx: B256) -> Result<Option<Mined>, ChainError> {
        let Some(mined) = self.mined(tx).await? else { return Ok(None) };
        Ok(self.is_confirmed(&mined).await?.then_some(mined))
    }

    /// Why a mined transaction failed: the same call again, on the block before it.
    pub(crate) async fn failure(&self, from: Address, call: &Call, mined: &Mined) -> String {
        let block = U64::from(mined.block.saturating_sub(1));
        match self.ask::<Bytes>("eth_call", json!([request(from, call), block])).await {
            Err(ChainError::Reverted(reason)) => reason,
            _ => "it was reverted".into(),
        }
    }

    /// Signs, sends and waits: one transaction at a time, with the nonce that the chain says comes next.
    ///
    /// # Errors
    /// `Failed` when it was mined and reverted; else see [`ChainError`].
    pub(crate) async fn transact(&self, key: &Key, call: &Call) -> Result<Mined, ChainError> {
        let _alone = self.sending.lock().await;
        let from = key.address();
        let nonce = self.pending_nonce(from).await?;
        let terms = self.terms(from, call, nonce).await?;
        let SignedTx { hash, raw } = sign(key, self.chain_id, call, &terms);
        self.broadcast(&raw).await?;
        let mined = self.wait(hash).await?;
        if mined.success {
            Ok(mined)
        } else {
            Err(ChainError::Failed { tx: hash, reason: self.failure(from, call, &mined).await })
        }
    }
}

impl fmt::Debug for Rpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rpc(chain {}, {} nodes)", self.chain_id, self.urls.len())
    }
}

/// Pauses that grow, until a deadline.
pub(crate) struct Poll {
    deadline: Instant,
    pause: Duration,
}

impl Poll {
    pub(crate) fn new(limit: Duration) -> Self {
        Self { deadline: Instant::now() + limit, pause: FIRST_POLL }
    }

    /// Waits for the next look; `false` when time is up.
    pub(crate) async fn pause(&mut self) -> bool {
        let now = Instant::now();
        if now >= self.deadline {
            return false;
        }
        tokio::time::sleep_until(self.deadline.min(now + self.pause)).await;
        self.pause = SLOWEST_POLL.min(self.pause * 3 / 2);
        true
    }
}

/// A node that gave no answer, and why.
struct Silence(String);

fn request(from: Address, call: &Call) -> Value {
    match call.to {
        TxKind::Call(to) => json!({ "from": from, "to": to, "data": call.data }),
        TxKind::Create => json!({ "from": from, "data": call.data }),
    }
}

/// The host of a URL: its path and user may hold a key that must not be shown.
fn host(url: &str) -> String {
    reqwest::Url::parse(url)
        .ok()
        .and_then(|url| url.host_str().map(str::to_owned))
        .unwrap_or_else(|| "not a URL".into())
}

/// An HTTP error without the URL, which may hold a key.
fn plain(error: &reqwest::Error) -> String {
    match error {
        error if error.is_connect() => "it can't be reached".into(),
        error if error.is_timeout() => "it took too long".into(),
        error if error.is_builder() => "its address is no URL".into(),
        _ => "the connection broke".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_what_may_be_a_key() {
        assert_eq!(host("https://user:pass@rpc.example/v3/0123secret"), "rpc.example");
    }
}
