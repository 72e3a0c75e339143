//! A chain and a replay that the test holds in its hand.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard};

use futures::FutureExt;
use futures::future::BoxFuture;
use surge_coordinator::blobs::Blobs;
use surge_coordinator::chain::{Chain, ChainEpoch, ChainError, Escrow};
use surge_coordinator::replay::{Replay, ReplayError};
use surge_protocol::epoch::EpochFile;
use surge_protocol::outcome::result_digest;
use surge_protocol::task::TaskSpec;
use surge_protocol::{Address, Amount, B256, Code, Digest, Outcome};

pub(crate) const CLASS: &str = "test-1/x86_64";
pub(crate) const CHAIN_ID: u64 = 31_337;

/// What the test's program computes: its input backwards.
pub(crate) fn program(input: &[u8]) -> Vec<u8> {
    input.iter().rev().copied().collect()
}

#[derive(Debug, Default)]
pub(crate) struct ChainState {
    pub(crate) deposits: HashMap<Address, Amount>,
    pub(crate) leaving: Vec<Address>,
    pub(crate) epochs: BTreeMap<u64, ChainEpoch>,
    pub(crate) files: Vec<EpochFile>,
    pub(crate) proposals: u64,
    pub(crate) finalizations: u64,
    pub(crate) down: bool,
    /// The next proposal arrives, but its answer is lost.
    pub(crate) lose_answer: bool,
    /// Unix seconds from which a proposed epoch may be finalized.
    pub(crate) finalizable_at: u64,
}

#[derive(Debug, Default)]
pub(crate) struct TestChain(Mutex<ChainState>);

impl TestChain {
    pub(crate) fn state(&self) -> MutexGuard<'_, ChainState> {
        self.0.lock().unwrap()
    }

    fn up(&self) -> Result<MutexGuard<'_, ChainState>, ChainError> {
        let state = self.state();
        if state.down { Err(ChainError::Unreachable("connection refused".into())) } else { Ok(state) }
    }

    fn propose_now(&self, file: &EpochFile) -> Result<B256, ChainError> {
        let mut state = self.up()?;
        state.proposals += 1;
        if state.epochs.contains_key(&file.epoch) {
            return Err(ChainError::Refused("EpochPending".into()));
        }
        let finalizable_at = state.finalizable_at;
        let epoch = ChainEpoch { data_hash: file.data_hash(), finalized: false, finalizable_at };
        state.epochs.insert(file.epoch, epoch);
        state.files.push(file.clone());
        if std::mem::take(&mut state.lose_answer) {
            return Err(ChainError::Unreachable("the answer was lost".into()));
        }
        Ok(B256::repeat_byte(0xaa))
    }

    fn finalize_now(&self, number: u64) -> Result<B256, ChainError> {
        let mut state = self.up()?;
        state.finalizations += 1;
        match state.epochs.get_mut(&number) {
            Some(epoch) if !epoch.finalized => epoch.finalized = true,
            _ => return Err(ChainError::Refused("EpochNotPending".into())),
        }
        Ok(B256::repeat_byte(0xbb))
    }
}

impl Chain for TestChain {
    fn chain_id(&self) -> BoxFuture<'_, Result<u64, ChainError>> {
        async { self.up().map(|_| CHAIN_ID) }.boxed()
    }

    fn escrow(&self, requester: Address) -> BoxFuture<'_, Result<Escrow, ChainError>> {
        async move {
            let state = self.up()?;
            let deposited = state.deposits.get(&requester).copied().unwrap_or_default();
            Ok(Escrow { deposited, leaving: state.leaving.contains(&requester) })
        }
        .boxed()
    }

    fn epoch(&self, number: u64) -> BoxFuture<'_, Result<Option<ChainEpoch>, ChainError>> {
        async move { Ok(self.up()?.epochs.get(&number).copied()) }.boxed()
    }

    fn propose<'a>(&'a self, file: &'a EpochFile) -> BoxFuture<'a, Result<B256, ChainError>> {
        async move { self.propose_now(file) }.boxed()
    }

    fn finalize(&self, number: u64) -> BoxFuture<'_, Result<B256, ChainError>> {
        async move { self.finalize_now(number) }.boxed()
    }
}

/// Computes [`program`] itself, or fails as often as it is told.
#[derive(Debug, Default)]
pub(crate) struct TestReplay {
    pub(crate) runs: Mutex<Vec<TaskSpec>>,
    pub(crate) failures: Mutex<u32>,
}

impl Replay for TestReplay {
    fn runtime_class(&self) -> &str {
        CLASS
    }

    fn run<'a>(&'a self, spec: TaskSpec, blobs: &'a Blobs) -> BoxFuture<'a, Result<Digest, ReplayError>> {
        async move {
            self.runs.lock().unwrap().push(spec.clone());
            let fails = {
                let mut failures = self.failures.lock().unwrap();
                let fails = *failures > 0;
                *failures = failures.saturating_sub(1);
                fails
            };
            if fails {
                return Err(ReplayError::NoVote { outcome: "host", code: "killed".into(), detail: "test".into() });
            }
            let input = std::fs::read(blobs.path(spec.stdin.digest)?)?;
            Ok(result_digest(Outcome::Done, &Code::Status(0), &program(&input)))
        }
        .boxed()
    }
}
