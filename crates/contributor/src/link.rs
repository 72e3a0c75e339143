//! The line to the coordinator: outbound HTTPS, one session, typed calls.
//!
//! It never retries by itself, except once after an expired session: when to try again is the caller's decision.

use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use surge_protocol::api::{
    Account, ApiError, Heartbeat, HeartbeatReply, LeaseId, LeaseReply, LeaseRequest, LeaseState, OpenSession,
    Registration, ResultReply, ReturnLease, SessionToken, SignedResult,
};
use surge_protocol::network::Network;
use surge_protocol::sign::{Key, Session};
use surge_protocol::task::BlobRef;
use surge_protocol::{Address, Digest};
use thiserror::Error;
use tokio::sync::Mutex;

use crate::blobs::{BlobError, Blobs};
use crate::config::Payout;

/// A call that is not a long poll or a blob must answer within this time.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);

#[derive(Debug, Error)]
pub enum LinkError {
    /// Nobody answered: try again later.
    #[error("the coordinator at {url} does not answer: {reason}")]
    Unreachable { url: String, reason: String },
    /// It answered that it can't now: try again later.
    #[error("the coordinator is in trouble: {message} ({code})")]
    Trouble { code: String, message: String },
    /// It answered no: trying again does not help.
    #[error("the coordinator refused: {message} ({code})")]
    Refused { status: u16, code: String, message: String },
    #[error("a blob could not be kept")]
    Blob(#[from] BlobError),
}

impl LinkError {
    /// Whether the same call may work later.
    #[must_use]
    pub fn passing(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Trouble { .. })
    }

    /// Whether this is the last word on what was sent, rather than on who sent it.
    #[must_use]
    pub fn final_for_content(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if !matches!(status, 401 | 403))
    }
}

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
}

impl Link {
    /// A link to the network's first coordinator. Nothing is sent yet.
    ///
    /// # Errors
    /// When TLS or the proxy settings of this system can't be used.
    pub fn new(network: Network, device: Key, introduction: Introduction) -> Result<Self, reqwest::Error> {
        let http = Client::builder().connect_timeout(Duration::from_secs(10)).build()?;
        let base = network.coordinators.first().map(|url| url.trim_end_matches('/').to_owned()).unwrap_or_default();
        Ok(Self { http, base, network, device, introduction, token: Mutex::new(None) })
    }

    #[must_use]
    pub fn device(&self) -> &Key {
        &self.device
    }

    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
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
        self.authorized(|| self.http.request(Method::PUT, self.url(&path)).body(body.clone())).await?;
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
        let mut reply = self.send(self.http.get(self.url(&format!("/v1/blobs/{}", blob.digest)))).await?;
        while let Some(bytes) = reply.chunk().await.map_err(|error| self.unreachable(&error))? {
            incoming.write(&bytes)?;
        }
        Ok(incoming.finish()?)
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn unreachable(&self, error: &reqwest::Error) -> LinkError {
        let mut reason = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(inner) = source {
            reason = inner.to_string();
            source = inner.source();
        }
        LinkError::Unreachable { url: self.base.clone(), reason }
    }

    async fn call<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        patience: Duration,
    ) -> Result<T, LinkError> {
        let reply = self.authorized(|| self.http.post(self.url(path)).timeout(patience).json(body)).await?;
        self.read(reply).await
    }

    /// Sends a request with the session's token; opens a session when there is none or it ended.
    async fn authorized(&self, request: impl Fn() -> RequestBuilder) -> Result<Response, LinkError> {
        let mut token = self.token.lock().await;
        if token.is_none() {
            *token = Some(self.open_session().await?);
        }
        let bearer = token.clone().unwrap_or_default();
        drop(token);
        match self.send(request().bearer_auth(&bearer)).await {
            Err(LinkError::Refused { code, .. }) if code == "session_unknown" => {
                let fresh = self.open_session().await?;
                *self.token.lock().await = Some(fresh.clone());
                self.send(request().bearer_auth(fresh)).await
            }
            reply => reply,
        }
    }

    async fn open_session(&self) -> Result<String, LinkError> {
        let who = self.device.address();
        let issued_at = crate::clock::unix_now();
        let signature = self.device.sign(&Session { who, issuedAt: issued_at }, &self.network.domain());
        let open = OpenSession { who, issued_at, signature };
        let request = self.http.post(self.url("/v1/sessions")).timeout(CALL_TIMEOUT).json(&open);
        let session: SessionToken = self.read(self.send(request).await?).await?;
        self.register(&session.token).await?;
        Ok(session.token)
    }

    async fn register(&self, token: &str) -> Result<(), LinkError> {
        let Introduction { payout, cores, memory_bytes, engine } = self.introduction.clone();
        let registration = Registration {
            payout: payout.payout,
            issued_at: payout.issued_at,
            signature: payout.signature,
            cores,
            memory_bytes,
            engine,
        };
        let request =
            self.http.post(self.url("/v1/nodes")).timeout(CALL_TIMEOUT).bearer_auth(token).json(&registration);
        self.send(request).await?;
        Ok(())
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, LinkError> {
        let reply = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = reply.status();
        if status.is_success() {
            return Ok(reply);
        }
        let error = reply.json().await.unwrap_or_else(|_| ApiError {
            code: format!("http_{}", status.as_u16()),
            message: status.canonical_reason().unwrap_or("an error without a body").to_owned(),
        });
        Err(refusal(status, error))
    }

    async fn read<T: DeserializeOwned>(&self, reply: Response) -> Result<T, LinkError> {
        reply.json().await.map_err(|error| self.unreachable(&error))
    }
}

fn refusal(status: StatusCode, ApiError { code, message }: ApiError) -> LinkError {
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::REQUEST_TIMEOUT {
        return LinkError::Trouble { code, message };
    }
    LinkError::Refused { status: status.as_u16(), code, message }
}
