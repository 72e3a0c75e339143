//! A running coordinator in a folder of its own, and how tests wait for it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use surge_coordinator::clock::{Clock, Manual};
use surge_coordinator::config::Rules;
use surge_coordinator::coordinator::{Config, Coordinator, World};
use surge_protocol::api::{Account, ApiError, JobId, JobStatus, NetworkStatus};
use surge_protocol::network::{Network, SignedNetwork};
use surge_protocol::sign::Key;
use surge_protocol::{Address, Amount};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::world::{CHAIN_ID, TestChain, TestReplay};

/// Unix seconds at which every test starts.
pub(crate) const START: u64 = 1_800_000_000;
/// A test that waits longer than this hangs.
const HANG: Duration = Duration::from_secs(120);
/// What a second of the test's clock takes at most, while nothing happens.
const MOMENT: Duration = Duration::from_millis(5);

/// How to reach a coordinator.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) base: String,
    pub(crate) http: Client,
    pub(crate) network: Network,
    clock: Arc<dyn Clock>,
}

pub(crate) struct Net {
    pub(crate) home: TempDir,
    pub(crate) chain: Arc<TestChain>,
    pub(crate) replay: Arc<TestReplay>,
    pub(crate) clock: Arc<Manual>,
    pub(crate) rules: Rules,
    door: Door,
    running: Option<Running>,
}

impl std::ops::Deref for Net {
    type Target = Door;

    fn deref(&self) -> &Door {
        &self.door
    }
}

struct Running {
    coordinator: Arc<Coordinator>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<std::io::Result<()>>,
}

/// An error answer.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) code: String,
    pub(crate) message: String,
}

pub(crate) type Answer<T> = Result<T, Refusal>;

pub(crate) fn key(n: u8) -> Key {
    Key::from_bytes(&[n; 32]).unwrap()
}

pub(crate) fn manifest() -> SignedNetwork {
    let key = key(1);
    let network = Network {
        name: "test".into(),
        coordinators: vec!["http://127.0.0.1:1".into()],
        chain_id: CHAIN_ID,
        rpc: vec!["http://127.0.0.1:2".into()],
        token: Address::repeat_byte(0x11),
        settlement: Address::repeat_byte(0x22),
        treasury: Address::repeat_byte(0x33),
        fee_bps: 500,
        coordinator_key: key.address(),
    };
    network.sign(&key)
}

impl Net {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// With other rules.
    pub(crate) async fn with(change: impl FnOnce(&mut Rules)) -> Self {
        let mut rules = Rules { replay_after: 5_000, epoch_every: 60_000, ..Rules::default() };
        change(&mut rules);
        let clock = Arc::new(Manual::new(START * 1_000));
        let mut net = Self {
            home: TempDir::new().unwrap(),
            chain: Arc::default(),
            replay: Arc::default(),
            door: Door::new(String::new(), manifest().network, clock.clone()),
            clock,
            rules,
            running: None,
        };
        net.launch().await;
        net
    }

    async fn launch(&mut self) {
        let world = World { chain: self.chain.clone(), replay: self.replay.clone(), clock: self.clock.clone() };
        let config = Config { home: self.home.path().to_owned(), network: manifest(), rules: self.rules.clone() };
        let coordinator = Coordinator::build(config, key(1), world).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        self.door.base = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let until = async move {
            let _ = stopped.await;
        };
        let served = tokio::spawn(coordinator.clone().run(listener, until));
        self.running = Some(Running { coordinator, stop, served });
    }

    /// Stops the coordinator and starts another on the same folder.
    pub(crate) async fn restart(&mut self) {
        let Running { coordinator, stop, served } = self.running.take().unwrap();
        stop.send(()).unwrap();
        tokio::time::timeout(HANG, served).await.expect("it stops").unwrap().unwrap();
        drop(coordinator);
        self.door.http = Client::new();
        self.launch().await;
    }

    pub(crate) fn coordinator(&self) -> &Arc<Coordinator> {
        &self.running.as_ref().unwrap().coordinator
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// Lets time pass, second by second, until `done` has an answer. Between two seconds every loop of the coordinator
    /// gets its turn: the wait ends with the next change, or a moment later when nothing changes.
    pub(crate) async fn pass_until<T, F: Future<Output = Option<T>>>(
        &self,
        what: &str,
        mut done: impl FnMut() -> F,
    ) -> T {
        let wait = async {
            loop {
                let mut changes = self.coordinator().changes();
                if let Some(found) = done().await {
                    return found;
                }
                self.advance(1);
                let _ = tokio::time::timeout(MOMENT, changes.changed()).await;
            }
        };
        tokio::time::timeout(HANG, wait).await.unwrap_or_else(|_| panic!("never: {what}"))
    }

    pub(crate) fn deposit(&self, requester: Address, amount: Amount) {
        self.chain.state().deposits.insert(requester, amount);
    }

    /// The ledger's balances, after checking that they are the sums of their entries and that all sum to zero.
    pub(crate) async fn audit(&self) -> std::collections::BTreeMap<String, i128> {
        let (balances, sum) = self.coordinator().store().audit().await.unwrap();
        assert_eq!(sum, 0, "the ledger's sum");
        balances
    }
}

impl Door {
    pub(crate) fn new(base: String, network: Network, clock: Arc<dyn Clock>) -> Self {
        Self { base, http: Client::new(), network, clock }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub(crate) fn now_seconds(&self) -> u64 {
        self.clock.now() / 1_000
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Answer<T> {
        answer(self.http.get(self.url(path)).send().await.unwrap()).await
    }

    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        token: Option<&str>,
        body: &impl Serialize,
    ) -> Answer<T> {
        let request = self.http.post(self.url(path)).json(body);
        let request = if let Some(token) = token { request.bearer_auth(token) } else { request };
        answer(request.send().await.unwrap()).await
    }

    pub(crate) async fn job(&self, job: JobId) -> JobStatus {
        self.get(&format!("/v1/jobs/{job}")).await.unwrap()
    }

    pub(crate) async fn account(&self, address: Address) -> Account {
        self.get(&format!("/v1/accounts/{address}")).await.unwrap()
    }

    pub(crate) async fn status(&self) -> NetworkStatus {
        self.get("/v1/status").await.unwrap()
    }
}

pub(crate) async fn answer<T: DeserializeOwned>(reply: reqwest::Response) -> Answer<T> {
    let status = reply.status();
    let bytes = reply.bytes().await.unwrap();
    if status.is_success() {
        return Ok(serde_json::from_slice(&bytes).unwrap());
    }
    let ApiError { code, message } =
        serde_json::from_slice(&bytes).unwrap_or_else(|_| panic!("{status}: {}", String::from_utf8_lossy(&bytes)));
    Err(Refusal { status, code, message })
}
