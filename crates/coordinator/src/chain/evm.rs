//! The network's contracts through `surge-wallet`'s client, connected when they are first needed and again after a
//! failure: a coordinator starts and works while its chain is down.

use std::fmt;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use surge_protocol::epoch::EpochFile;
use surge_protocol::network::Network;
use surge_protocol::sign::Key;
use surge_protocol::{Address, B256};
use surge_wallet::{Chain as Client, ChainError as ClientError, Proposal, Timing};
use tokio::sync::Mutex;

use super::{Chain, ChainEpoch, ChainError, Escrow};

/// The contracts, and the settler's key that proposes and finalizes.
pub struct Evm {
    network: Network,
    settler: Key,
    client: Mutex<Option<Arc<Client>>>,
}

impl fmt::Debug for Evm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Evm")
            .field("settlement", &self.network.settlement)
            .field("settler", &self.settler)
            .finish_non_exhaustive()
    }
}

impl Evm {
    #[must_use]
    pub fn new(network: Network, settler: Key) -> Self {
        Self { network, settler, client: Mutex::default() }
    }

    async fn client(&self) -> Result<Arc<Client>, ChainError> {
        let mut client = self.client.lock().await;
        if let Some(client) = client.as_ref() {
            return Ok(Arc::clone(client));
        }
        let http = reqwest::Client::builder().build().map_err(|error| ChainError::Unreachable(error.to_string()))?;
        let connected = Client::connect(http, &self.network, Timing::default()).await;
        let fresh = Arc::new(connected.map_err(|error| kind(&error))?);
        *client = Some(Arc::clone(&fresh));
        Ok(fresh)
    }

    /// Forgets a connection that failed, so that the next question tries every URL again.
    async fn checked<T>(&self, answer: Result<T, ClientError>) -> Result<T, ChainError> {
        let answer = answer.map_err(|error| kind(&error));
        if matches!(answer, Err(ChainError::Unreachable(_))) {
            *self.client.lock().await = None;
        }
        answer
    }
}

fn kind(error: &ClientError) -> ChainError {
    match error {
        ClientError::Unreachable(_) | ClientError::Unconfirmed { .. } => ChainError::Unreachable(error.to_string()),
        _ => ChainError::Refused(error.to_string()),
    }
}

impl Chain for Evm {
    fn chain_id(&self) -> BoxFuture<'_, Result<u64, ChainError>> {
        async move { Ok(self.client().await?.chain_id()) }.boxed()
    }

    fn escrow(&self, requester: Address) -> BoxFuture<'_, Result<Escrow, ChainError>> {
        async move {
            let client = self.client().await?;
            let deposited = self.checked(client.deposited(requester).await).await?;
            let leaving = self.checked(client.exit_requested_at(requester).await).await?.is_some();
            Ok(Escrow { deposited, leaving })
        }
        .boxed()
    }

    fn epoch(&self, number: u64) -> BoxFuture<'_, Result<Option<ChainEpoch>, ChainError>> {
        async move {
            let client = self.client().await?;
            let Some(epoch) = self.checked(client.epoch(number).await).await? else { return Ok(None) };
            let window = self.checked(client.challenge_window().await).await?;
            Ok(Some(ChainEpoch {
                data_hash: epoch.data_hash,
                finalized: epoch.finalized_at.is_some(),
                finalizable_at: epoch.proposed_at.saturating_add(window),
            }))
        }
        .boxed()
    }

    fn propose<'a>(&'a self, file: &'a EpochFile) -> BoxFuture<'a, Result<B256, ChainError>> {
        async move {
            let base = self.network.coordinators.first().map_or("", String::as_str);
            let uri = format!("{}/v1/epochs/{}", base.trim_end_matches('/'), file.epoch);
            let proposal = Proposal::of(file, uri).map_err(|error| ChainError::Refused(error.to_string()))?;
            let client = self.client().await?;
            Ok(self.checked(client.propose(&self.settler, &proposal).await).await?.tx)
        }
        .boxed()
    }

    fn finalize(&self, number: u64) -> BoxFuture<'_, Result<B256, ChainError>> {
        async move {
            let client = self.client().await?;
            Ok(self.checked(client.finalize(&self.settler, number).await).await?.tx)
        }
        .boxed()
    }
}
