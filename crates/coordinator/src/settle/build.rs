//! Builds an epoch's file from the receipts that no epoch holds, and keeps its exact bytes.

use std::sync::Arc;

use surge_protocol::B256;
use surge_protocol::epoch::{EpochFile, SignedReceipt, apply, balances, rows};
use surge_protocol::network::Network;

use super::{SettleError, file};
use crate::coordinator::Coordinator;

/// Builds the epoch after `previous` and stores it.
pub(super) async fn build(coordinator: &Arc<Coordinator>, previous: Option<u64>) -> Result<(), SettleError> {
    let store = &coordinator.store;
    let receipts = store.unsettled(coordinator.rules.most_receipts).await?;
    let previous = match previous {
        Some(epoch) => Some(file(store, epoch).await?),
        None => None,
    };
    let network = coordinator.manifest.network.clone();
    let number = previous.as_ref().map_or(1, |file| file.epoch + 1);
    // Thousands of signatures are checked: not on a thread that serves requests.
    let built = tokio::task::spawn_blocking(move || assemble(receipts, &network, previous.as_ref()));
    let interrupted = || SettleError::Epoch(number, "building it was interrupted".into());
    let built = built.await.map_err(|_| interrupted())??;
    let tasks = built.receipts.iter().map(|signed| signed.receipt.task).collect::<Vec<_>>();
    tracing::info!(epoch = built.epoch, receipts = tasks.len(), "Epoch built");
    store.add_epoch(built.epoch, built.to_bytes(), tasks, coordinator.now()).await?;
    coordinator.changed();
    Ok(())
}

/// The file over `receipts`, checked as anybody will check it.
pub(super) fn assemble(
    mut receipts: Vec<SignedReceipt>,
    network: &Network,
    previous: Option<&EpochFile>,
) -> Result<EpochFile, SettleError> {
    let epoch = previous.map_or(1, |file| file.epoch + 1);
    let wrong = |error: surge_protocol::epoch::EpochError| SettleError::Epoch(epoch, error.to_string());
    receipts.sort_by_key(|signed| signed.receipt.task);
    let (mut credits, mut debits) =
        previous.map(|file| (balances(&file.credits), balances(&file.debits))).unwrap_or_default();
    let plain = receipts.iter().map(|signed| &signed.receipt);
    apply(plain, network.treasury, &mut credits, &mut debits).map_err(wrong)?;
    let file = EpochFile {
        chain_id: network.chain_id,
        settlement: network.settlement,
        epoch,
        previous: previous.map_or(B256::ZERO, EpochFile::data_hash),
        coordinator_key: network.coordinator_key,
        treasury: network.treasury,
        fee_bps: network.fee_bps,
        receipts,
        credits: rows(&credits),
        debits: rows(&debits),
    };
    file.check(previous).map_err(wrong)?;
    Ok(file)
}
