//! What an account may know: the ledger's word, the newest finalized epoch's, and the chain's on its escrow.
//!
//! Deliberately absent: who it belongs to.

use std::time::Duration;

use surge_protocol::Address;
use surge_protocol::api::{Account, NetworkStatus, Settled};
use surge_protocol::merkle::Side;

use crate::coordinator::Coordinator;
use crate::error::Result;

/// The chain is waited for no longer before the ledger's word is given alone.
const CHAIN_PATIENCE: Duration = Duration::from_secs(2);

impl Coordinator {
    /// Everything about an account.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn account(&self, address: Address) -> Result<Account> {
        self.refresh_escrow(address).await?;
        let account = self.store.account(address, self.manifest.network.fee_bps).await?;
        Ok(Account { settled: self.settled_for(address), ..account })
    }

    fn settled_for(&self, address: Address) -> Option<Settled> {
        let file = self.settled.borrow().clone()?;
        let (cumulative, proof) = file.credit_proof(address)?;
        debug_assert!(surge_protocol::merkle::verify(
            file.root(Side::Credit),
            surge_protocol::merkle::leaf(file.chain_id, file.settlement, Side::Credit, address, cumulative),
            &proof
        ));
        Some(Settled { epoch: file.epoch, cumulative, proof })
    }

    /// Looks for a new deposit. The chain is asked by few requests at a time and never waited for long: whoever asks
    /// about accounts must not be able to hold up anything.
    async fn refresh_escrow(&self, address: Address) -> Result<()> {
        let Ok(_turn) = self.escrow_turns.try_acquire() else { return Ok(()) };
        let asked = tokio::time::timeout(CHAIN_PATIENCE, self.world.chain.escrow(address)).await;
        let Ok(Ok(escrow)) = asked else { return Ok(()) };
        if self.store.account(address, 0).await?.deposited != escrow.deposited {
            self.store.follow_deposit(address, escrow.deposited).await?;
        }
        Ok(())
    }

    /// The network at a glance.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn status(&self) -> Result<NetworkStatus> {
        let totals = self.store.totals().await?;
        let (_, running, nodes) = self.board().counts(self.now());
        let finalized = totals.finalized;
        let trouble = self.chain_trouble.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        Ok(NetworkStatus {
            name: self.manifest.network.name.clone(),
            nodes,
            tasks_waiting: totals.tasks_open.saturating_sub(running),
            tasks_running: running.min(totals.tasks_open),
            tasks_validated: totals.tasks_validated,
            results_rejected: totals.results_rejected,
            epoch: finalized.as_ref().map_or(0, |row| row.epoch),
            epoch_propose_tx: finalized.as_ref().and_then(|row| row.propose_tx),
            epoch_finalize_tx: finalized.as_ref().and_then(|row| row.finalize_tx),
            receipts_unsettled: totals.receipts_unsettled,
            chain_trouble: trouble,
        })
    }
}
