//! The real program: killed without warning, started wrongly, stopped politely.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::{Json, Router, routing::post};
use serde_json::{Value, json};
use surge_coordinator::clock::System;
use surge_coordinator::store::{Store, Terms};
use surge_protocol::api::{JobState, Lease, LeaseId, SignedResult, SubmitJob};
use surge_protocol::epoch::SignedReceipt;
use surge_protocol::split::split;
use surge_protocol::{Address, Amount, Digest};
use tempfile::TempDir;

use crate::actors::{Actor, Node, PRICE, Requester};
use crate::executable;
use crate::harness::{Door, key, manifest};
use crate::ports::Port;
use crate::world::CHAIN_ID;

/// A test that waits longer than this hangs.
const HANG: Duration = Duration::from_secs(240);
/// Between two looks at another process.
const LOOK: Duration = Duration::from_millis(10);

/// A chain that answers every question with the same number: a large deposit, an exit never asked for.
async fn chain(chain_id: u64) -> String {
    let answer = move |Json(asked): Json<Value>| async move {
        // `deposited(address)` is the one question whose answer is an amount.
        let data =
            asked["params"][0]["data"].as_str().or(asked["params"][0]["input"].as_str()).unwrap_or_default().to_owned();
        let deposited = data.starts_with("0xcb13cddb");
        let result = match asked["method"].as_str() {
            Some("eth_chainId") => json!(format!("0x{chain_id:x}")),
            Some("eth_call") if deposited => json!(format!("0x{:064x}", Amount::tokens(1_000_000).0)),
            _ => json!(format!("0x{:064x}", 0)),
        };
        Json(json!({ "jsonrpc": "2.0", "id": asked["id"], "result": result }))
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/", post(answer))).await });
    url
}

/// A home as `deploy` writes it, and a worker that says its class and nothing else.
struct Setting {
    home: TempDir,
    listen: String,
    _port: Port,
}

impl Setting {
    async fn new(chain_id: u64) -> Self {
        let home = TempDir::new().unwrap();
        let mut network = manifest().network;
        network.rpc = vec![chain(chain_id).await];
        let signed = network.sign(&key(1));
        std::fs::write(home.path().join("network.json"), serde_json::to_vec(&signed).unwrap()).unwrap();
        for (name, n) in [("coordinator.key", 1u8), ("settler.key", 2)] {
            std::fs::write(home.path().join(name), format!("{n:02x}").repeat(32)).unwrap();
        }
        let worker = home.path().join("worker");
        executable::write(&worker, "#!/bin/sh\necho test-1/x86_64\n");
        let port = Port::free();
        let listen = format!("127.0.0.1:{}", port.number());
        Self { home, listen, _port: port }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_surge-coordinator"));
        command.arg("run").arg("--home").arg(self.home.path()).args(["--listen", &self.listen, "--lease-seconds", "1"]);
        command.arg("--key-file").arg(self.path("settler.key")).arg("--worker").arg(self.path("worker"));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).env_remove("RUST_LOG");
        command
    }

    /// Starts it and waits until it serves.
    fn start(&self) -> Running {
        let mut child = self.command().spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let told: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line:?} {}", rest(&mut child)));
        assert_eq!(told["listening"], self.listen.as_str());
        Running(child)
    }

    /// Starts it, expecting that it ends by itself; what it said.
    fn fail(&self) -> String {
        let output = self.command().output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    }

    fn door(&self) -> Door {
        Door::new(format!("http://{}", self.listen), manifest().network, Arc::new(System))
    }
}

fn rest(child: &mut Child) -> String {
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    text
}

/// Killed at the latest when the test ends.
struct Running(Child);

impl Running {
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    fn terminate(mut self) -> ExitStatus {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.0.wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What was acknowledged: the payout of each recorded result, by task and lease.
type Acknowledged = Arc<Mutex<BTreeMap<(Digest, LeaseId), Address>>>;

/// A node that works through a coordinator that keeps dying: it keeps what it could not deliver.
struct Stubborn {
    door: Door,
    n: u8,
    node: Option<Node>,
    undelivered: Option<SignedResult>,
    acknowledged: Acknowledged,
}

impl Stubborn {
    /// One attempt at one step; an error is a coordinator that is gone.
    async fn step(&mut self) -> Result<(), String> {
        if self.node.is_none() {
            self.node = Some(attempt(&self.door, join(self.door.clone(), self.n)).await?);
        }
        let node = self.node.as_ref().unwrap();
        if self.undelivered.is_none() {
            let Some(lease) = lease(&self.door, node).await? else { return Ok(()) };
            self.undelivered = Some(compute(&self.door, node, &lease).await?);
        }
        let signed = self.undelivered.clone().unwrap();
        let result = &signed.result;
        let path = format!("/v1/leases/{}/result", result.lease);
        let (status, body) = call(&self.door, &path, &node.actor.token, &signed).await?;
        match (status, body["code"].as_str()) {
            (200, _) => {
                self.acknowledged.lock().unwrap().insert((result.task, result.lease), node.payout);
            }
            (409, Some("task_decided" | "result_conflict")) => {}
            other => panic!("{other:?} {body}"),
        }
        self.undelivered = None;
        Ok(())
    }
}

async fn call(door: &Door, path: &str, token: &str, body: &impl serde::Serialize) -> Result<(u16, Value), String> {
    let sent =
        door.http.post(door.url(path)).bearer_auth(token).json(body).send().await.map_err(|error| error.to_string())?;
    let status = sent.status().as_u16();
    Ok((status, sent.json().await.map_err(|error| error.to_string())?))
}

/// The actors unwrap; here the coordinator may be gone at any moment.
async fn attempt<T: Send + 'static>(door: &Door, act: impl Future<Output = T> + Send + 'static) -> Result<T, String> {
    door.http.get(door.url("/v1/network")).send().await.map_err(|error| error.to_string())?;
    tokio::spawn(act).await.map_err(|_| "it went away".to_owned())
}

async fn join(door: Door, n: u8) -> Node {
    Node::join(&door, n).await
}

async fn lease(door: &Door, node: &Node) -> Result<Option<Lease>, String> {
    let (status, body) = call(door, "/v1/leases", &node.actor.token, &crate::actors::request(1)).await?;
    assert_eq!(status, 200, "{body}");
    Ok(serde_json::from_value(body["lease"].clone()).ok())
}

async fn compute(door: &Door, node: &Node, lease: &Lease) -> Result<SignedResult, String> {
    let gone = |error: reqwest::Error| error.to_string();
    let input =
        door.http.get(door.url(&format!("/v1/blobs/{}", lease.spec.stdin.digest))).send().await.map_err(gone)?;
    let output = crate::world::program(&input.bytes().await.map_err(gone)?);
    let blob = Digest::of(&output);
    let put = door.http.put(door.url(&format!("/v1/blobs/{blob}"))).bearer_auth(&node.actor.token).body(output.clone());
    put.send().await.and_then(reqwest::Response::error_for_status).map_err(gone)?;
    let done = surge_protocol::Outcome::Done;
    let code = surge_protocol::Code::Status(0);
    let digest = surge_protocol::outcome::result_digest(done, &code, &output);
    Ok(node.sign(door, crate::actors::body(lease, done, code, digest, blob)))
}

const TASKS: usize = 60;
const KILLS: usize = 6;

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_it_loses_nothing_that_it_acknowledged_and_pays_nothing_twice() {
    let setting = Setting::new(CHAIN_ID).await;
    let mut running = setting.start();
    let door = setting.door();
    let requester = Requester(Actor::open(&door, 50).await);
    let inputs: Vec<_> = (0..TASKS).map(|n| format!("input {n}")).collect();
    let inputs: Vec<_> = inputs.iter().map(String::as_str).collect();
    let draft = requester.draft(&door, &inputs, 2).await;
    let order = requester.sign(&door, SubmitJob { deadline: door.now_seconds() + 3_600, ..draft });
    let job = requester.submit(&door, &order).await.unwrap();

    let acknowledged = Acknowledged::default();
    let mut work = tokio::task::JoinSet::new();
    let (stop, stopped) = tokio::sync::watch::channel(false);
    for n in 10..14 {
        let mut node =
            Stubborn { door: door.clone(), n, node: None, undelivered: None, acknowledged: acknowledged.clone() };
        let stopped = stopped.clone();
        work.spawn(async move {
            while !*stopped.borrow() {
                if node.step().await.is_err() {
                    tokio::time::sleep(LOOK).await;
                }
            }
        });
    }

    for kill in 1..=KILLS {
        let enough = kill * TASKS * 2 / (KILLS + 2);
        until("results arrive", || acknowledged.lock().unwrap().len() >= enough).await;
        // Requests of four nodes are under way; this is as arbitrary a moment as any.
        running.kill();
        running = setting.start();
    }
    let begun = Instant::now();
    let status = loop {
        let status = door.job(job).await;
        if status.state != JobState::Running {
            break status;
        }
        assert!(begun.elapsed() < HANG, "{status:?}");
        tokio::time::sleep(LOOK).await;
    };
    assert_eq!((status.state, status.validated, status.rejected), (JobState::Done, TASKS as u64, 0));
    assert_eq!(status.spent, PRICE.checked_mul(2 * TASKS as u64).unwrap());
    stop.send(true).unwrap();
    while work.join_next().await.is_some() {}

    let receipts: Vec<SignedReceipt> =
        door.get(&format!("/v1/accounts/{}/receipts", requester.address())).await.unwrap();
    assert_eq!(receipts.len(), TASKS);
    let paid: BTreeMap<_, _> = receipts
        .iter()
        .flat_map(|signed| &signed.receipt.shares)
        .map(|share| ((share.result.task, share.result.lease), share.payout))
        .collect();
    assert_eq!(paid.len(), 2 * TASKS, "two paid executions of each task");
    for (result, payout) in acknowledged.lock().unwrap().iter() {
        assert_eq!(paid.get(result), Some(payout), "an acknowledged result is paid");
    }
    let payouts: BTreeSet<_> = paid.values().copied().collect();
    for payout in payouts {
        let shares = paid.values().filter(|paid| **paid == payout).count() as u64;
        let account = door.account(payout).await;
        assert_eq!(account.credited, split(PRICE, 500).net.checked_mul(shares).unwrap());
        assert_eq!(account.accepted, shares);
    }
    assert!(running.terminate().success());
    audit(setting.home.path()).await;
}

/// The ledger as the program left it.
async fn audit(home: &Path) {
    let terms = Terms { network: manifest().network, key: key(1) };
    let store = Store::open(&home.join("coordinator.sqlite"), Arc::new(terms)).unwrap();
    let (_, sum) = store.audit().await.unwrap();
    assert_eq!(sum, 0);
}

async fn until(what: &str, done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < HANG, "never: {what}");
        tokio::time::sleep(LOOK).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_wrong_start_is_named() {
    let setting = Setting::new(CHAIN_ID).await;
    let running = setting.start();
    assert!(setting.fail().contains("a coordinator runs already with the home"));
    assert!(running.terminate().success(), "SIGTERM is a polite end");

    let taken = TcpListener::bind(&setting.listen).unwrap();
    assert!(setting.fail().contains("another program may use that port"));
    drop(taken);
    std::fs::write(setting.path("coordinator.key"), "03".repeat(32)).unwrap();
    assert!(setting.fail().contains("the manifest names the coordinator key"));
    std::fs::write(setting.path("coordinator.key"), "not a key").unwrap();
    assert!(setting.fail().contains("it must be 64 hex digits"));
    std::fs::remove_file(setting.path("worker")).unwrap();
    std::fs::write(setting.path("coordinator.key"), "01".repeat(32)).unwrap();
    assert!(setting.fail().contains("there is no worker"));
    std::fs::remove_file(setting.path("network.json")).unwrap();
    assert!(setting.fail().contains("surge-coordinator deploy"));

    let elsewhere = Setting::new(1).await;
    assert!(elsewhere.fail().contains("the node is on chain 1, and this network is on chain 31337"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_chain_it_starts_and_says_what_is_missing() {
    let setting = Setting::new(CHAIN_ID).await;
    let mut network = manifest().network;
    network.rpc = vec!["http://127.0.0.1:9".into()];
    std::fs::write(setting.path("network.json"), serde_json::to_vec(&network.sign(&key(1))).unwrap()).unwrap();
    let running = setting.start();
    let door = setting.door();
    assert_eq!(door.status().await.nodes, 0);
    let requester = Requester(Actor::open(&door, 50).await);
    let draft = requester.draft(&door, &["abc"], 1).await;
    let refusal = requester.submit(&door, &requester.sign(&door, draft)).await.unwrap_err();
    assert_eq!(refusal.code, "chain_unavailable");
    assert!(running.terminate().success());
}
