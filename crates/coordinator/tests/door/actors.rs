//! Nodes and requesters, as they act over HTTP.

use std::sync::atomic::{AtomicU64, Ordering};

use surge_protocol::api::{
    Heartbeat, HeartbeatReply, JobId, JobSubmitted, Lease, LeaseReply, LeaseRequest, LeaseState, OpenSession,
    Registration, RequestId, ResultReply, ReturnLease, SessionToken, SignedResult, SubmitJob, lease_id,
};
use surge_protocol::epoch::ResultBody;
use surge_protocol::outcome::result_digest;
use surge_protocol::sign::{Key, PayoutBinding, Session, Signed};
use surge_protocol::task::{BlobRef, DataSet, Limits, Meter};
use surge_protocol::{Address, Amount, Code, Digest, Outcome};

use crate::harness::{Answer, Door, Net, answer, key};
use crate::world::{CLASS, program};

pub(crate) const WASM: &[u8] = b"\0asm\x01\0\0\0";

/// Anybody with a session.
pub(crate) struct Actor {
    pub(crate) key: Key,
    pub(crate) token: String,
}

impl Actor {
    pub(crate) async fn open(net: &Door, n: u8) -> Self {
        let key = key(n);
        let token = open_session(net, &key, net.now_seconds()).await.unwrap().token;
        Self { key, token }
    }

    pub(crate) fn address(&self) -> Address {
        self.key.address()
    }

    pub(crate) async fn upload(&self, net: &Door, bytes: &[u8]) -> BlobRef {
        let digest = Digest::of(bytes);
        self.upload_as(net, digest, bytes.to_vec()).await.unwrap();
        BlobRef { digest, size: bytes.len() as u64 }
    }

    pub(crate) async fn upload_as(
        &self,
        net: &Door,
        digest: Digest,
        bytes: impl Into<reqwest::Body>,
    ) -> Answer<serde_json::Value> {
        let request = net.http.put(net.url(&format!("/v1/blobs/{digest}"))).bearer_auth(&self.token).body(bytes);
        answer(request.send().await.unwrap()).await
    }
}

pub(crate) async fn open_session(net: &Door, key: &Key, issued_at: u64) -> Answer<SessionToken> {
    let who = key.address();
    let signature = key.sign(&Session { who, issuedAt: issued_at }, &net.network.domain());
    net.post("/v1/sessions", None, &OpenSession { who, issued_at, signature }).await
}

/// A registered node. Number `n` pays the payout of key `n + 100`.
pub(crate) struct Node {
    pub(crate) actor: Actor,
    pub(crate) payout: Address,
}

/// An id that no other request has.
fn new_request() -> RequestId {
    static REQUESTS: AtomicU64 = AtomicU64::new(0);
    Digest::of(&REQUESTS.fetch_add(1, Ordering::Relaxed).to_le_bytes())
}

pub(crate) fn request(wait_seconds: u32) -> LeaseRequest {
    LeaseRequest {
        request: new_request(),
        free_memory_bytes: 8 << 30,
        load_percent: 5.0,
        held: Vec::new(),
        runtime_class: CLASS.into(),
        wait_seconds,
    }
}

pub(crate) fn registration(net: &Door, device: &Key, payout: &Key, issued_at: u64) -> Registration {
    let message = PayoutBinding { node: device.address(), payout: payout.address(), issuedAt: issued_at };
    Registration {
        payout: payout.address(),
        issued_at,
        signature: payout.sign(&message, &net.network.domain()),
        device_signature: device.sign(&message, &net.network.domain()),
        cores: 2,
        memory_bytes: 8 << 30,
        engine: "surge test".into(),
    }
}

impl Node {
    pub(crate) async fn join(net: &Door, n: u8) -> Self {
        Self::join_for(net, n, &key(n + 100)).await
    }

    pub(crate) async fn join_for(net: &Door, n: u8, payout: &Key) -> Self {
        let actor = Actor::open(net, n).await;
        let body = registration(net, &actor.key, payout, net.now_seconds());
        let _: serde_json::Value = net.post("/v1/nodes", Some(&actor.token), &body).await.unwrap();
        Self { actor, payout: payout.address() }
    }

    pub(crate) fn address(&self) -> Address {
        self.actor.address()
    }

    pub(crate) async fn ask(&self, net: &Door, request: &LeaseRequest) -> Answer<LeaseReply> {
        net.post("/v1/leases", Some(&self.actor.token), request).await
    }

    /// A lease that is there at once.
    pub(crate) async fn lease(&self, net: &Door) -> Option<Lease> {
        match self.ask(net, &request(0)).await.unwrap() {
            LeaseReply::Lease(lease) => Some(*lease),
            LeaseReply::Nothing { .. } => None,
        }
    }

    pub(crate) async fn beat(&self, net: &Door, lease: &Lease, state: LeaseState) -> HeartbeatReply {
        let path = format!("/v1/leases/{}/heartbeat", lease.lease);
        net.post(&path, Some(&self.actor.token), &Heartbeat { state }).await.unwrap()
    }

    pub(crate) async fn give_back(&self, net: &Door, lease: &Lease, outcome: Option<Outcome>) {
        let code = outcome.map(|_| Code::word("killed"));
        let path = format!("/v1/leases/{}/return", lease.lease);
        let body = ReturnLease { outcome, code };
        let _: serde_json::Value = net.post(&path, Some(&self.actor.token), &body).await.unwrap();
    }

    /// Gives back what `request` got or may get.
    pub(crate) async fn decline(&self, net: &Door, request: &LeaseRequest) {
        let path = format!("/v1/leases/{}/return", lease_id(self.address(), request.request));
        let body = ReturnLease { outcome: None, code: None };
        let answer: Answer<serde_json::Value> = net.post(&path, Some(&self.actor.token), &body).await;
        assert!(answer.is_ok() || answer.is_err_and(|refusal| refusal.code == "unknown_lease"));
    }

    /// Computes the task: downloads its input, uploads the output, signs the result.
    pub(crate) async fn compute(&self, net: &Door, lease: &Lease) -> SignedResult {
        let input = net.http.get(net.url(&format!("/v1/blobs/{}", lease.spec.stdin.digest))).send().await.unwrap();
        self.claim(net, lease, &program(&input.bytes().await.unwrap())).await
    }

    /// Uploads `output` and signs it as the result, whatever the task is.
    pub(crate) async fn claim(&self, net: &Door, lease: &Lease, output: &[u8]) -> SignedResult {
        let blob = self.actor.upload(net, output).await;
        let digest = result_digest(Outcome::Done, &Code::Status(0), output);
        self.sign(net, body(lease, Outcome::Done, Code::Status(0), digest, blob.digest))
    }

    pub(crate) fn sign(&self, net: &Door, result: ResultBody) -> SignedResult {
        let signature = self.actor.key.sign(&result.message(), &net.network.domain());
        SignedResult { result, signature }
    }

    pub(crate) async fn deliver(&self, net: &Door, signed: &SignedResult) -> Answer<ResultReply> {
        let path = format!("/v1/leases/{}/result", signed.result.lease);
        net.post(&path, Some(&self.actor.token), signed).await
    }

    /// Leases, computes and delivers one task; whether there was one.
    pub(crate) async fn work(&self, net: &Door) -> bool {
        let Some(lease) = self.lease(net).await else { return false };
        let signed = self.compute(net, &lease).await;
        assert!(self.deliver(net, &signed).await.unwrap().recorded);
        true
    }

    /// As [`Self::work`], with a wrong result.
    pub(crate) async fn cheat(&self, net: &Door) -> bool {
        let Some(lease) = self.lease(net).await else { return false };
        let signed = self.claim(net, &lease, format!("wrong by {}", self.address()).as_bytes()).await;
        assert!(self.deliver(net, &signed).await.unwrap().recorded);
        true
    }
}

pub(crate) fn body(lease: &Lease, outcome: Outcome, code: Code, digest: Digest, output: Digest) -> ResultBody {
    let runtime_class = CLASS.into();
    ResultBody {
        lease: lease.lease,
        task: lease.task,
        outcome,
        code,
        digest,
        output,
        runtime_class,
        fuel: 0,
        cpu_ms: 7,
        resumed: false,
    }
}

/// A requester with its deposit.
pub(crate) struct Requester(pub(crate) Actor);

pub(crate) const PRICE: Amount = Amount::tokens(2);

impl Requester {
    /// With a deposit of 1 000.
    pub(crate) async fn join(net: &Net, n: u8) -> Self {
        let actor = Actor::open(net, n).await;
        net.deposit(actor.address(), Amount::tokens(1_000));
        Self(actor)
    }

    pub(crate) fn address(&self) -> Address {
        self.0.address()
    }

    /// An order over uploaded blobs, unsigned.
    pub(crate) async fn draft(&self, net: &Door, inputs: &[&str], quorum: u8) -> SubmitJob {
        let module = self.0.upload(net, WASM).await;
        let data = self.0.upload(net, b"shared data").await;
        let mut blobs = Vec::new();
        for input in inputs {
            blobs.push(self.0.upload(net, input.as_bytes()).await);
        }
        SubmitJob {
            name: "reverse".into(),
            requester: self.address(),
            module,
            args: vec!["--fast".into()],
            data: vec![DataSet { name: "shared".into(), digest: data.digest, size: data.size }],
            limits: Limits::default(),
            meter: Meter::None,
            seed: 7,
            inputs: blobs,
            price: PRICE,
            quorum,
            deadline: net.now_seconds() + 3_600,
            nonce: 1,
            signature: Signed([0; 65]),
        }
    }

    pub(crate) fn sign(&self, net: &Door, order: SubmitJob) -> SubmitJob {
        let message = order.order().unwrap();
        SubmitJob { signature: self.0.key.sign(&message, &net.network.domain()), ..order }
    }

    pub(crate) async fn submit(&self, net: &Door, order: &SubmitJob) -> Answer<JobId> {
        let submitted: JobSubmitted = net.post("/v1/jobs", Some(&self.0.token), order).await?;
        Ok(submitted.job)
    }

    /// Orders one task for each input.
    pub(crate) async fn order(&self, net: &Door, inputs: &[&str], quorum: u8) -> JobId {
        let draft = self.draft(net, inputs, quorum).await;
        self.submit(net, &self.sign(net, draft)).await.unwrap()
    }
}
