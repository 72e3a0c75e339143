//! The line to the coordinator: outbound HTTPS, one session, typed calls.
//!
//! It never retries by itself, except once after an expired session: when to try again is the caller's decision.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use reqwest::header::{DATE, HeaderMap, HeaderValue, RETRY_AFTER};
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
use crate::http::{Silence, silence, silence_of_status};

/// A call that is not a long poll or a blob must answer within this time.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);
/// The slowest line over which a blob is still moved, bytes a second.
const SLOWEST_LINE: u64 = 16 << 10;
/// Clocks that differ by more than this are worth a word, seconds.
const WRONG_CLOCK: i64 = 120;
/// The longest delay that a coordinator may ask for.
const LONGEST_DELAY: Duration = Duration::from_secs(600);

#[derive(Debug, Error)]
pub enum LinkError {
    /// Nobody answered: try again later.
    #[error("{} ({})", .0.message, .0.code)]
    Unreachable(Silence),
    /// It answered that it can't now: try again later.
    #[error("the coordinator is in trouble: {message} ({code})")]
    Trouble { code: String, message: String, retry_after: Option<Duration> },
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
        matches!(self, Self::Unreachable(_) | Self::Trouble { .. })
    }

    /// Whether this is the last word on what was sent, rather than on who sent it.
    #[must_use]
    pub fn final_for_content(&self) -> bool {
        match self {
            // A result that another key signed, or of another node's lease, never becomes this one's.
            Self::Refused { status, code, .. } => {
                !matches!(status, 401 | 403) || matches!(code.as_str(), "wrong_signature" | "not_yours")
            }
            _ => false,
        }
    }

    /// When the other side wants to be asked again.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Trouble { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    fn has_code(&self, word: &str) -> bool {
        matches!(self, Self::Refused { code, .. } if code == word)
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

    /// Unix seconds by the coordinator's clock, as far as it is known.
    fn their_now(&self) -> u64 {
        crate::clock::unix_now().saturating_add_signed(self.clock_offset())
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

    fn unreachable(&self, error: &reqwest::Error) -> LinkError {
        LinkError::Unreachable(silence(&self.base, error))
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
            Err(error) if error.has_code("session_unknown") => {
                let fresh = self.open_session().await?;
                *self.token.lock().await = Some(fresh.clone());
                self.send(request().bearer_auth(fresh)).await
            }
            reply => reply,
        }
    }

    /// Opens a session. The answer to a signature whose time is wrong tells the right time.
    async fn open_session(&self) -> Result<String, LinkError> {
        match self.try_session().await {
            Err(error) if error.has_code("stale_signature") => self.try_session().await,
            opened => opened,
        }
    }

    async fn try_session(&self) -> Result<String, LinkError> {
        let who = self.device.address();
        let issued_at = self.their_now();
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
        self.compare_clocks(reply.headers());
        let status = reply.status();
        if status.is_success() {
            return Ok(reply);
        }
        if let Some(silence) = silence_of_status(&self.base, status) {
            return Err(LinkError::Unreachable(silence));
        }
        let retry_after = seconds(reply.headers().get(RETRY_AFTER)).map(|after| after.min(LONGEST_DELAY));
        let error = reply.json().await.unwrap_or_else(|_| ApiError {
            code: format!("http_{}", status.as_u16()),
            message: status.canonical_reason().unwrap_or("an error without a body").to_owned(),
        });
        Err(refusal(status, error, retry_after))
    }

    /// Learns the coordinator's clock from its answer. Both clocks tick in seconds, and the answer took its time.
    fn compare_clocks(&self, headers: &HeaderMap) {
        let date = headers.get(DATE).and_then(|date| date.to_str().ok());
        let Some(theirs) = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok()) else { return };
        let ours = i64::try_from(crate::clock::unix_now()).unwrap_or(i64::MAX);
        let offset = theirs.timestamp().as_second().saturating_sub(ours);
        let known = self.clock_offset.swap(offset, Ordering::Relaxed);
        if offset.abs() > WRONG_CLOCK && known.abs() <= WRONG_CLOCK {
            tracing::warn!(
                seconds = -offset,
                "This computer's clock differs from the network's: the network's is used"
            );
        }
    }

    async fn read<T: DeserializeOwned>(&self, reply: Response) -> Result<T, LinkError> {
        reply.json().await.map_err(|error| self.unreachable(&error))
    }
}

/// How long a blob may take.
fn patience(size: u64) -> Duration {
    CALL_TIMEOUT + Duration::from_secs(size / SLOWEST_LINE)
}

/// A delay in seconds; the form with a date is not used here.
fn seconds(header: Option<&HeaderValue>) -> Option<Duration> {
    header?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

fn refusal(status: StatusCode, ApiError { code, message }: ApiError, retry_after: Option<Duration>) -> LinkError {
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::REQUEST_TIMEOUT {
        return LinkError::Trouble { code, message, retry_after };
    }
    LinkError::Refused { status: status.as_u16(), code, message }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    const FUTURE: &str = "Fri, 01 Jan 2100 00:00:00 GMT";

    /// A coordinator in the year 2100 that takes signatures of its own time only, and is then in trouble for a while.
    /// Returns its address; what it was sent comes over the channel.
    fn coordinator() -> (String, std::sync::mpsc::Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (sender, received) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut bytes = Vec::new();
                let mut piece = [0; 4096];
                // A JSON body ends with its last brace.
                while !(bytes.ends_with(b"}") || bytes.starts_with(b"GET") && bytes.ends_with(b"\r\n\r\n")) {
                    let read = stream.read(&mut piece).unwrap();
                    bytes.extend_from_slice(&piece[..read]);
                }
                let request = String::from_utf8(bytes).unwrap();
                let (status, more, body) = if request.starts_with("POST /v1/sessions") {
                    let issued = request.split("\"issued_at\":").nth(1).unwrap().split(',').next().unwrap();
                    match issued.parse::<u64>().unwrap().abs_diff(4_102_444_800) {
                        0..300 => ("200 OK", "", r#"{"token":"t","expires_in_seconds":9}"#),
                        _ => ("401 Unauthorized", "", r#"{"code":"stale_signature","message":"check the clock"}"#),
                    }
                } else if request.starts_with("POST /v1/nodes") {
                    ("200 OK", "", "{}")
                } else {
                    ("503 Service Unavailable", "retry-after: 77\r\n", r#"{"code":"busy","message":"later"}"#)
                };
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {status}\r\ndate: {FUTURE}\r\n{more}connection: close\r\ncontent-length: {length}\r\n\r\n{body}"
                );
                stream.write_all(answer.as_bytes()).unwrap();
                if sender.send(request).is_err() {
                    return;
                }
            }
        });
        (address, received)
    }

    #[tokio::test]
    async fn the_coordinators_clock_counts_and_its_delay_is_heard() {
        let (address, requests) = coordinator();
        let device = Key::from_bytes(&[5; 32]).unwrap();
        let network = Network {
            name: "test".into(),
            coordinators: vec![address],
            chain_id: 1,
            rpc: Vec::new(),
            token: Address::ZERO,
            settlement: Address::ZERO,
            treasury: Address::ZERO,
            fee_bps: 0,
            coordinator_key: Address::ZERO,
        };
        let payout = Payout { payout: Address::ZERO, issued_at: 1, signature: surge_protocol::sign::Signed([1; 65]) };
        let introduction = Introduction { payout, cores: 1, memory_bytes: 1, engine: "test".into() };
        let link = Link::new(Client::new(), network, device, introduction);
        assert_eq!(link.clock_offset(), 0);
        let error = link.heartbeat(Digest([1; 32]), LeaseState::Running).await.unwrap_err();
        assert!(error.passing() && error.retry_after() == Some(Duration::from_secs(77)), "{error}");
        let off = 4_102_444_800 - i64::try_from(crate::clock::unix_now()).unwrap();
        assert!(link.clock_offset().abs_diff(off) <= 5, "{}", link.clock_offset());
        let paths: Vec<_> = requests.try_iter().map(|request| request.split(' ').nth(1).unwrap().to_owned()).collect();
        assert_eq!(paths[..3], ["/v1/sessions", "/v1/sessions", "/v1/nodes"], "signed again, with the right time");
    }
}
