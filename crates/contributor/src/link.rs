//! The line to the coordinator: outbound HTTPS, one session, typed calls.
//!
//! It never retries by itself, except once after an expired session: when to try again is the caller's decision. Where a
//! network has several coordinators, the next call after one that nobody answered goes to the next of them.

mod error;
mod session;
mod wire;

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use reqwest::{Client, Method};
use surge_protocol::api::{
    Account, Heartbeat, HeartbeatReply, LeaseId, LeaseReply, LeaseRequest, LeaseState, ResultReply, ReturnLease,
    SignedResult,
};
use surge_protocol::network::Network;
use surge_protocol::sign::Key;
use surge_protocol::task::BlobRef;
use surge_protocol::{Address, Digest};
use tokio::sync::{Mutex, mpsc};

use crate::blobs::{BlobError, Blobs};
use crate::blocking::blocking;
use crate::config::Payout;

pub use error::LinkError;

/// A call that is not a long poll or a blob must answer within this time.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);
/// Pieces of a blob that wait for the disk.
const PIECES_AHEAD: usize = 8;
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
    /// The network's coordinators, and which of them is asked.
    bases: Vec<String>,
    current: AtomicUsize,
    network: Network,
    device: Key,
    introduction: Introduction,
    /// The session, and the coordinator that opened it.
    token: Mutex<Option<(String, String)>>,
    /// The coordinator's clock less this machine's, seconds, by the newest answer.
    clock_offset: AtomicI64,
}

impl Link {
    /// A link to the network's coordinators, the first of them first. Nothing is sent yet.
    #[must_use]
    pub fn new(http: Client, network: Network, device: Key, introduction: Introduction) -> Self {
        let bases = network.coordinators.iter().map(|url| url.trim_end_matches('/').to_owned()).collect();
        let (current, clock_offset) = (AtomicUsize::new(0), AtomicI64::new(0));
        Self { http, bases, current, network, device, introduction, token: Mutex::new(None), clock_offset }
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
        let base = self.base();
        let request = self.http.get(url(base, &format!("/v1/accounts/{account}"))).timeout(CALL_TIMEOUT);
        self.read(base, self.send(base, request).await?).await
    }

    /// Uploads a blob.
    ///
    /// # Errors
    /// See [`LinkError`].
    pub async fn put_blob(&self, digest: Digest, bytes: Vec<u8>) -> Result<(), LinkError> {
        let path = format!("/v1/blobs/{digest}");
        // Cheap to clone: a second try after an expired session sends the same buffer.
        let body = Bytes::from(bytes);
        let patience = patience(body.len() as u64);
        let base = self.base();
        let request = || self.http.request(Method::PUT, url(base, &path)).timeout(patience).body(body.clone());
        self.authorized(base, request).await?;
        Ok(())
    }

    /// Makes sure that `blob` is in the cache, verified while it streams in. The disk's part is done on a thread that may
    /// wait for it.
    ///
    /// # Errors
    /// `Blob` when what came is not what was announced or could not be kept.
    pub async fn fetch(&self, blob: BlobRef, cache: Blobs) -> Result<(), LinkError> {
        let held = cache.clone();
        if blocking(move || held.get(blob).is_some()).await {
            return Ok(());
        }
        let (pieces, inbox) = mpsc::channel(PIECES_AHEAD);
        let mut kept = tokio::spawn(blocking(move || keep(blob, &cache, inbox)));
        let received = self.receive(blob, pieces).await;
        // What the disk says comes first: where it failed, nobody took the pieces.
        match (&mut kept).await {
            Ok(Err(error)) if received.is_ok() || error.is_local() => Err(error.into()),
            Ok(_) => received,
            Err(error) => resume_unwind(error.into_panic()),
        }
    }

    /// Sends a blob's bytes to `pieces` as they come.
    async fn receive(&self, blob: BlobRef, pieces: mpsc::Sender<Bytes>) -> Result<(), LinkError> {
        let base = self.base();
        let request = self.http.get(url(base, &format!("/v1/blobs/{}", blob.digest))).timeout(patience(blob.size));
        let mut reply = self.send(base, request).await?;
        while let Some(bytes) = reply.chunk().await.map_err(|error| self.unreachable(base, &error))? {
            if pieces.send(bytes).await.is_err() {
                break;
            }
        }
        Ok(())
    }

    /// The coordinator that is asked now.
    fn base(&self) -> &str {
        let current = self.current.load(Ordering::Relaxed);
        self.bases.get(current % self.bases.len().max(1)).map_or("", String::as_str)
    }

    /// From now on the coordinator after `silent` is asked, unless another call has seen to that.
    fn turn_from(&self, silent: &str) {
        if self.bases.len() > 1 && self.base() == silent {
            let current = self.current.load(Ordering::Relaxed);
            let next = current.wrapping_add(1);
            // Where two calls fail at once, one of them turns.
            let _ = self.current.compare_exchange(current, next, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}

fn url(base: &str, path: &str) -> String {
    format!("{base}{path}")
}

/// Writes a blob to the cache, piece by piece, until no more come.
fn keep(blob: BlobRef, cache: &Blobs, mut pieces: mpsc::Receiver<Bytes>) -> Result<(), BlobError> {
    let mut incoming = cache.receive(blob)?;
    while let Some(bytes) = pieces.blocking_recv() {
        incoming.write(&bytes)?;
    }
    incoming.finish()
}

/// How long a blob may take.
fn patience(size: u64) -> Duration {
    CALL_TIMEOUT + Duration::from_secs(size / SLOWEST_LINE)
}

#[cfg(test)]
mod tests;
