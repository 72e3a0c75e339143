//! Settlement: gathers receipts into epochs and brings each on chain, one step at a time.
//!
//! A reconciler: every step compares what the store intends with what the chain says, and does the one thing that is
//! missing. A crash anywhere is followed by the same comparison, so nothing is proposed twice. Deliberately absent:
//! what to do about a veto; that is for people.

mod build;
mod plan;

use std::sync::{Arc, PoisonError};

use surge_protocol::epoch::EpochFile;
use thiserror::Error;

use crate::chain::ChainError;
use crate::clock::Millis;
use crate::coordinator::Coordinator;
use crate::error::Result;
use crate::store::{EpochRow, EpochState, Store};

use plan::{Local, Step, next};

/// Why settlement does not go on.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SettleError {
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error("{0}")]
    Store(#[from] crate::error::Error),
    #[error("epoch {0} is not what the receipts say: {1}")]
    Epoch(u64, String),
    #[error("the chain holds another epoch {0} than this coordinator built: two coordinators use one key")]
    Conflict(u64),
    #[error(
        "epoch {0} was proposed and is gone from the chain: it was vetoed, or the chain went back; look before it is proposed again"
    )]
    Gone(u64),
}

/// The longest pause between two tries.
const LONGEST_PAUSE: Millis = 60_000;

/// Reconciles until the coordinator stops.
pub(crate) async fn run(coordinator: Arc<Coordinator>) {
    let started = coordinator.now();
    let mut failures = 0u32;
    loop {
        let pause = match step(&coordinator, started).await {
            Ok(done) => {
                failures = 0;
                trouble(&coordinator, None);
                // What was done may make the next step possible.
                if done == Step::Wait { coordinator.rules.chain_every } else { 0 }
            }
            Err(error) => {
                trouble(&coordinator, Some(&error));
                failures = failures.saturating_add(1);
                let doubled = coordinator.rules.chain_retry.saturating_mul(1 << failures.min(16).saturating_sub(1));
                doubled.min(LONGEST_PAUSE)
            }
        };
        tokio::select! {
            () = coordinator.world.clock.sleep_until(coordinator.now().saturating_add(pause)) => {}
            () = coordinator.stopped() => return,
        }
    }
}

/// Does the one thing that is missing, and says what it was.
async fn step(coordinator: &Arc<Coordinator>, started: Millis) -> Result<Step, SettleError> {
    let store = &coordinator.store;
    let newest = store.newest_epoch().await?;
    let local = match &newest {
        None => None,
        Some(row) => Some(Local { row, data_hash: data_hash(store, row).await? }),
    };
    let settled = newest.as_ref().is_none_or(|row| row.state == EpochState::Finalized);
    // Nothing under way: the chain need not be asked.
    let (on_chain, due) = match &newest {
        Some(row) if !settled => (coordinator.world.chain.epoch(row.epoch).await?, false),
        _ => (None, is_due(coordinator, newest.as_ref(), started).await?),
    };
    let step = next(local.as_ref(), on_chain, due, coordinator.now())?;
    act(coordinator, step, newest).await?;
    Ok(step)
}

async fn act(coordinator: &Arc<Coordinator>, step: Step, newest: Option<EpochRow>) -> Result<(), SettleError> {
    let chain = &coordinator.world.chain;
    let Some(row) = newest else {
        return if step == Step::Build { build::build(coordinator, None).await } else { Ok(()) };
    };
    let epoch = row.epoch;
    match step {
        Step::Wait => Ok(()),
        Step::Build => build::build(coordinator, Some(epoch)).await,
        Step::Propose => {
            let tx = chain.propose(&file(&coordinator.store, epoch).await?).await?;
            tracing::info!(epoch, %tx, "Epoch proposed");
            mark(coordinator, EpochRow { state: EpochState::Proposed, propose_tx: Some(tx), ..row }).await
        }
        Step::NoteProposed => mark(coordinator, EpochRow { state: EpochState::Proposed, ..row }).await,
        Step::Finalize => {
            let tx = chain.finalize(epoch).await?;
            conclude(coordinator, EpochRow { finalize_tx: Some(tx), ..row }).await
        }
        Step::NoteFinalized => conclude(coordinator, row).await,
    }
}

async fn mark(coordinator: &Arc<Coordinator>, row: EpochRow) -> Result<(), SettleError> {
    coordinator.store.mark_epoch(row).await?;
    coordinator.changed();
    Ok(())
}

async fn conclude(coordinator: &Arc<Coordinator>, row: EpochRow) -> Result<(), SettleError> {
    let settled = file(&coordinator.store, row.epoch).await?;
    tracing::info!(epoch = row.epoch, receipts = settled.receipts.len(), "Epoch finalized");
    coordinator.store.mark_epoch(EpochRow { state: EpochState::Finalized, ..row }).await?;
    coordinator.settled.send_replace(Some(Arc::new(settled)));
    coordinator.changed();
    Ok(())
}

/// Whether it is time for an epoch: its interval passed, and there are receipts.
async fn is_due(coordinator: &Coordinator, newest: Option<&EpochRow>, started: Millis) -> Result<bool> {
    let since = newest.map_or(started, |row| row.built_at);
    if coordinator.now().saturating_sub(since) < coordinator.rules.epoch_every {
        return Ok(false);
    }
    Ok(!coordinator.store.unsettled(1).await?.is_empty())
}

/// The newest finalized epoch.
pub(crate) async fn newest(store: &Store) -> anyhow::Result<Option<Arc<EpochFile>>> {
    match store.finalized().await? {
        Some(row) => Ok(Some(Arc::new(file(store, row.epoch).await?))),
        None => Ok(None),
    }
}

async fn bytes(store: &Store, epoch: u64) -> Result<Vec<u8>, SettleError> {
    let missing = || SettleError::Epoch(epoch, "its file is not in the store".into());
    store.epoch_file(epoch).await?.ok_or_else(missing)
}

async fn file(store: &Store, epoch: u64) -> Result<EpochFile, SettleError> {
    let bytes = bytes(store, epoch).await?;
    serde_json::from_slice(&bytes).map_err(|error| SettleError::Epoch(epoch, error.to_string()))
}

async fn data_hash(store: &Store, row: &EpochRow) -> Result<surge_protocol::B256, SettleError> {
    // Only what is under way is compared with the chain.
    if row.state == EpochState::Finalized {
        return Ok(surge_protocol::B256::ZERO);
    }
    Ok(alloy::primitives::keccak256(bytes(store, row.epoch).await?))
}

/// Remembers why the chain cannot be used, and says so once.
fn trouble(coordinator: &Coordinator, error: Option<&SettleError>) {
    let text = error.map(ToString::to_string);
    let mut known = coordinator.chain_trouble.lock().unwrap_or_else(PoisonError::into_inner);
    match (&*known, &text) {
        (None, Some(error)) => tracing::warn!(%error, "Settlement waits; work goes on"),
        (Some(_), None) => tracing::info!("Settlement goes on"),
        _ => {}
    }
    *known = text;
}
