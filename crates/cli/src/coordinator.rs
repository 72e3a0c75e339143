//! The requester's line to a coordinator: sessions signed by the wallet, blobs, jobs, accounts.

use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::{Client, RequestBuilder, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use surge_contributor::http::{Silence, silence, silence_of_status};
use surge_platform::paths::Paths;
use surge_protocol::api::{
    Account, ApiError, JobId, JobStatus, JobSubmitted, OpenSession, SessionToken, SubmitJob, TaskResultRow,
};
use surge_protocol::epoch::SignedReceipt;
use surge_protocol::network::{Network, SignedNetwork};
use surge_protocol::task::BlobRef;
use surge_protocol::{Address, Digest};

use crate::failure::Failure;
use crate::http;

const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// The largest answers that are read into memory, bytes: a network's manifest, any other JSON, and a blob.
pub(crate) const MANIFEST: u64 = 64 << 10;
const ANSWER: u64 = 64 << 20;
const BLOB: u64 = 256 << 20;

#[derive(Debug)]
pub(crate) struct Coordinator {
    http: Client,
    base: String,
}

impl Coordinator {
    /// The network's first coordinator.
    pub(crate) fn of(paths: &Paths, network: &Network) -> Result<Self> {
        Self::at(paths, network.coordinators.first().context("the network names no coordinator")?)
    }

    pub(crate) fn at(paths: &Paths, url: &str) -> Result<Self> {
        Ok(Self { http: http::client(paths)?, base: url.trim_end_matches('/').to_owned() })
    }

    pub(crate) async fn network(&self) -> Result<SignedNetwork> {
        let reply = self.send(self.http.get(self.url("/v1/network"))).await?;
        self.read(reply, MANIFEST).await
    }

    pub(crate) async fn account(&self, account: Address) -> Result<Account> {
        self.get(&format!("/v1/accounts/{account}")).await
    }

    pub(crate) async fn receipts(&self, account: Address) -> Result<Vec<SignedReceipt>> {
        self.get(&format!("/v1/accounts/{account}/receipts")).await
    }

    pub(crate) async fn job(&self, job: JobId) -> Result<JobStatus> {
        self.get(&format!("/v1/jobs/{job}")).await
    }

    pub(crate) async fn results(&self, job: JobId) -> Result<Vec<TaskResultRow>> {
        self.get(&format!("/v1/jobs/{job}/results")).await
    }

    /// A blob, verified.
    pub(crate) async fn blob(&self, blob: BlobRef) -> Result<Vec<u8>> {
        let reply = self.send(self.http.get(self.url(&format!("/v1/blobs/{}", blob.digest)))).await?;
        let bytes = self.bounded(reply, BLOB).await?;
        let actual = Digest::of(&bytes);
        if actual != blob.digest {
            let message = format!("{} sent a blob with digest {actual} for {}: try again", self.base, blob.digest);
            return Err(Failure::new("wrong_blob", message).into());
        }
        Ok(bytes)
    }

    /// Opens a session for the wallet that signed `open`.
    pub(crate) async fn open_session(&self, open: &OpenSession) -> Result<String> {
        let session: SessionToken = self.post("/v1/sessions", open, None).await?;
        Ok(session.token)
    }

    pub(crate) async fn put_blob(&self, token: &str, bytes: Vec<u8>) -> Result<()> {
        let path = format!("/v1/blobs/{}", Digest::of(&bytes));
        self.send(self.http.put(self.url(&path)).bearer_auth(token).body(bytes)).await?;
        Ok(())
    }

    pub(crate) async fn submit(&self, token: &str, job: &SubmitJob) -> Result<JobId> {
        let submitted: JobSubmitted = self.post("/v1/jobs", job, Some(token)).await?;
        Ok(submitted.job)
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.read(self.send(self.http.get(self.url(path))).await?, ANSWER).await
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize, token: Option<&str>) -> Result<T> {
        let request = self.http.post(self.url(path)).json(body);
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        self.read(self.send(request).await?, ANSWER).await
    }

    async fn read<T: DeserializeOwned>(&self, reply: Response, limit: u64) -> Result<T> {
        let bytes = self.bounded(reply, limit).await?;
        Ok(serde_json::from_slice(&bytes).map_err(|error| self.stranger(&error.to_string()))?)
    }

    /// The body of an answer, unless it has more than `limit` bytes.
    async fn bounded(&self, mut reply: Response, limit: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while let Some(chunk) = reply.chunk().await.map_err(|error| self.silent(&error))? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() as u64 > limit {
                return Err(self.stranger(&format!("its answer has more than {} KiB", limit >> 10)).into());
            }
        }
        Ok(bytes)
    }

    /// Somebody answers, and it is no coordinator of this version.
    fn stranger(&self, why: &str) -> Failure {
        let message =
            format!("{} answers, but not as a coordinator of this version does ({why}): check the URL", self.base);
        Failure::new("coordinator_unreachable", message)
    }

    fn silent(&self, error: &reqwest::Error) -> Failure {
        let Silence { code, message } = silence(&self.base, error);
        Failure::new(code, message)
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response> {
        let reply = request.timeout(CALL_TIMEOUT).send().await.map_err(|error| self.silent(&error))?;
        if reply.status().is_success() {
            return Ok(reply);
        }
        let status = reply.status();
        if let Some(Silence { code, message }) = silence_of_status(&self.base, status) {
            return Err(Failure::new(code, message).into());
        }
        let told = self.bounded(reply, MANIFEST).await.ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let ApiError { code, message } = told.unwrap_or_else(|| ApiError {
            code: format!("http_{}", status.as_u16()),
            message: format!("{} answered {status}: is this the URL of a coordinator?", self.base),
        });
        Err(Failure::new(code, message).into())
    }
}
