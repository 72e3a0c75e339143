//! The line to the coordinator: outbound HTTPS, one session, typed calls.
//!
//! It never retries by itself, except once after an expired session: when to try again is the caller's decision.

mod error;
mod session;
mod wire;

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use reqwest::{Client, Method};
use surge_protocol::api::{
    Account, Heartbeat, HeartbeatReply, LeaseId, LeaseReply, LeaseRequest, LeaseState, ResultReply, ReturnLease,
    SignedResult,
};
use surge_protocol::network::Network;
use surge_protocol::sign::Key;
use surge_protocol::task::BlobRef;
use surge_protocol::{Address, Digest};
use tokio::sync::Mutex;

use crate::blobs::Blobs;
use crate::config::Payout;

pub use error::LinkError;

/// A call that is not a long poll or a blob must answer within this time.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);
/// The slowest line over which a blob is still moved, bytes a second.
const SLOWEST_LINE: u64 = 16 << 10;

/// What a node tells of itself once.
#[derive(Debug, Clone)]
pub struct Introduction {
    pub payout: Payout,
    pub cores: u32,
    pub memory_bytes: u64,
    pub engine: String,
}

#[derive(Debug)]
pub struct Link {
    http: Client,
    base: String,
    network: Network,
    device: Key,
    introduction: Introduction,
    token: Mutex<Option<String>>,
    /// The coordinator's clock less this machine's, seconds, by the newest answer.
    clock_offset: AtomicI64,
}

impl Link {
    /// A link to the network's first coordinator. Nothing is sent yet.
    #[must_use]
    pub fn new(http: Client, network: Network, device: Key, introduction: Introduction) -> Self {
        let base = network.coordinators.first().map(|url| url.trim_end_matches('/').to_owned()).unwrap_or_default();
        Self { http, base, network, device, introduction, token: Mutex::new(None), clock_offset: AtomicI64::new(0) }
    }

    #[must_use]
    pub fn device(&self) -> &Key {
        &self.device
    }

    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// How far this machine's clock is behind the coordinator's, seconds; 0 before the first answer.
    #[must_use]
    pub fn clock_offset(&self) -> i64 {
        self.clock_offset.load(Ordering::Relaxed)
    }

    /// Asks for a task; waits at the coordinator for up to `request.wait_seconds`.
    ///
    /// # Errors
    /// See [`LinkError`].
    pub async fn lease(&self, request: &LeaseRequest) -> Result<LeaseReply, LinkError> {
        let patience = CALL_TIMEOUT + Duration::from_secs(u64::from(request.wait_seconds));
        self.call("/v1/leases", request, patience).await
    }

    /// Says that a lease is alive.
    ///
    /// # Errors
    /// See [`LinkError`].
    pub async fn heartbeat(&self, lease: LeaseId, state: LeaseState) -> Result<HeartbeatReply, LinkError> {
        self.call(&format!("/v1/leases/{lease}/heartbeat"), &Heartbeat { state }, CALL_TIMEOUT).await
    }

    /// Gives a task back unfinished.
    ///
    /// # Errors
    /// See [`LinkError`].
    pub async fn give_back(&self, lease: LeaseId, why: &ReturnLease) -> Result<(), LinkError> {
        let _: serde_json::Value = self.call(&format!("/v1/leases/{lease}/return"), why, CALL_TIMEOUT).await?;
        Ok(())
    }

    /// Delivers a result. Its output blob must be there. Saying it twice has the effect of once.
    ///
    /// # Errors
    /// See [`LinkError`].
    pub async fn result(&self, signed: &SignedResult) -> Result<ResultReply, LinkError> {
        self.call(&format!("/v1/leases/{}/result", signed.result.lease), signed, CALL_TIMEOUT).await
    }

    /// What the coordinator knows of an account.
    ///
    /// # Errors
    /// See [`LinkError`].
    pub async fn account(&self, account: Address) -> Result<Account, LinkError> {
        let request = self.http.get(self.url(&format!("/v1/accounts/{account}"))).timeout(CALL_TIMEOUT);
        self.read(self.send(request).await?).await
    }

    /// Uploads a blob.
    ///
    /// # Errors
    /// See [`LinkError`].
    pub async fn put_blob(&self, digest: Digest, bytes: Vec<u8>) -> Result<(), LinkError> {
        let path = format!("/v1/blobs/{digest}");
        // Cheap to clone: a second try after an expired session sends the same buffer.
        let body = bytes::Bytes::from(bytes);
        let patience = patience(body.len() as u64);
        let request = || self.http.request(Method::PUT, self.url(&path)).timeout(patience).body(body.clone());
        self.authorized(request).await?;
        Ok(())
    }

    /// Makes sure that `blob` is in the cache, verified while it streams in.
    ///
    /// # Errors
    /// `Blob` when what came is not what was announced or could not be kept.
    pub async fn fetch(&self, blob: BlobRef, cache: &Blobs) -> Result<(), LinkError> {
        if cache.get(blob).is_some() {
            return Ok(());
        }
        let mut incoming = cache.receive(blob)?;
        let request = self.http.get(self.url(&format!("/v1/blobs/{}", blob.digest))).timeout(patience(blob.size));
        let mut reply = self.send(request).await?;
        while let Some(bytes) = reply.chunk().await.map_err(|error| self.unreachable(&error))? {
            incoming.write(&bytes)?;
        }
        Ok(incoming.finish()?)
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
}

/// How long a blob may take.
fn patience(size: u64) -> Duration {
    CALL_TIMEOUT + Duration::from_secs(size / SLOWEST_LINE)
}

#[cfg(test)]
mod tests;
