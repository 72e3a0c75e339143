//! A real chain for tests: Anvil on a free port, the contracts deployed, an operator with money.

#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::Client;
use secrecy::SecretString;
use serde_json::{Value, json};
use surge_protocol::api::{Account, Settled};
use surge_protocol::epoch::{EpochFile, Row};
use surge_protocol::network::Network;
use surge_protocol::sign::Key;
use surge_protocol::{Address, Amount, B256};
use surge_wallet::{Chain, Deployment, Mined, Money, Proposal, Rpc, Timing, Wallet, Words, deploy};

/// Patient enough for a loaded machine, short enough to notice a hang.
pub(crate) const TIMING: Timing =
    Timing { answer: Duration::from_secs(20), mining: Duration::from_secs(60), confirmations: 1 };

/// An Anvil that ends with this value.
pub(crate) struct Anvil {
    child: Child,
    pub(crate) url: String,
}

impl Anvil {
    pub(crate) fn start() -> Self {
        let program = program();
        assert!(program.exists(), "{} is missing: run `npm ci --prefix contracts`", program.display());
        let mut child = Command::new(program)
            .args(["--port", "0", "--accounts", "1", "--no-request-size-limit"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines.find_map(|line| line.unwrap().strip_prefix("Listening on ").map(str::to_owned));
        // Whoever does not read a pipe blocks its writer.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, url: format!("http://{}", address.expect("anvil ended before it listened")) }
    }

    /// Asks the chain something that only a test may ask.
    pub(crate) async fn ask(&self, method: &str, params: Value) -> Value {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let answer: Value =
            reqwest::Client::new().post(&self.url).json(&body).send().await.unwrap().json().await.unwrap();
        assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
        answer["result"].clone()
    }

    /// Gives `account` ETH, in wei.
    pub(crate) async fn give_eth(&self, account: Address, wei: u128) {
        self.ask("anvil_setBalance", json!([account, format!("{wei:#x}")])).await;
    }
}

impl Anvil {
    pub(crate) fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        self.stop();
    }
}

fn program() -> PathBuf {
    let os = if cfg!(target_os = "macos") { "darwin" } else { std::env::consts::OS };
    let arch = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../contracts/node_modules/@foundry-rs")
        .join(format!("anvil-{os}-{arch}/bin/anvil"))
}

/// A network on a chain of its own.
pub(crate) struct Net {
    pub(crate) anvil: Anvil,
    pub(crate) network: Network,
    /// Pays for the deployment; admin, settler and guardian in one.
    pub(crate) operator: Key,
    pub(crate) chain: Chain,
    epoch: u64,
    credits: Vec<Row>,
}

pub(crate) const REQUESTER: Address = Address::repeat_byte(0x4e);
pub(crate) const TREASURY: Address = Address::repeat_byte(0x7e);

impl Net {
    pub(crate) async fn start() -> Self {
        Self::start_with_window(0).await
    }

    /// A network with 1000 tokens in escrow.
    pub(crate) async fn start_with_window(challenge_window: u64) -> Self {
        let anvil = Anvil::start();
        let words = SecretString::from("test test test test test test test test test test test junk");
        let operator = Words::parse(&words).unwrap().key();
        let rpc = Rpc::connect(Client::new(), std::slice::from_ref(&anvil.url), None, TIMING).await.unwrap();
        let deployment = Deployment {
            token_name: "Surge Test".into(),
            token_symbol: "SRGT".into(),
            admin: operator.address(),
            settler: operator.address(),
            guardian: operator.address(),
            challenge_window,
            exit_delay: 60,
        };
        let deployed = deploy(&rpc, &operator, &deployment).await.unwrap();
        let network = Network {
            name: "test".into(),
            coordinators: vec!["http://127.0.0.1:1".into()],
            chain_id: rpc.chain_id(),
            rpc: vec![anvil.url.clone()],
            token: deployed.token,
            settlement: deployed.settlement,
            treasury: TREASURY,
            fee_bps: 500,
            coordinator_key: operator.address(),
        };
        let chain = Chain::connect(Client::new(), &network, TIMING).await.unwrap();
        chain.mint(&operator, operator.address(), Amount::tokens(5_000)).await.unwrap();
        chain.deposit(&operator, REQUESTER, Amount::tokens(1_000)).await.unwrap();
        Self { anvil, network, operator, chain, epoch: 0, credits: vec![] }
    }

    /// The file of an epoch that credits `amount` more to `account`.
    pub(crate) fn next_file(&mut self, account: Address, amount: Amount) -> EpochFile {
        match self.credits.iter_mut().find(|row| row.account == account) {
            Some(row) => row.cumulative = row.cumulative.checked_add(amount).unwrap(),
            None => self.credits.push(Row { account, cumulative: amount }),
        }
        self.credits.sort_by_key(|row| row.account);
        self.epoch += 1;
        let spent = self.credits.iter().map(|row| row.cumulative.0).sum();
        EpochFile {
            chain_id: self.network.chain_id,
            settlement: self.network.settlement,
            epoch: self.epoch,
            previous: B256::ZERO,
            coordinator_key: self.operator.address(),
            treasury: TREASURY,
            fee_bps: 500,
            receipts: vec![],
            credits: self.credits.clone(),
            debits: vec![Row { account: REQUESTER, cumulative: Amount(spent) }],
        }
    }

    /// Settles an epoch that credits `amount` more to `account`, and gives what the coordinator would say of it.
    pub(crate) async fn credit(&mut self, account: Address, amount: Amount) -> Settled {
        let file = self.next_file(account, amount);
        let proposal = Proposal::of(&file, "file:epoch".into()).unwrap();
        self.chain.propose(&self.operator, &proposal).await.unwrap();
        self.chain.finalize(&self.operator, file.epoch).await.unwrap();
        settled(&file, account)
    }

    /// Tokens into the account, without any epoch.
    pub(crate) async fn give_tokens(&self, account: Address, amount: Amount) -> Mined {
        self.chain.transfer(&self.operator, account, amount).await.unwrap()
    }

    /// A wallet with a key of its own.
    pub(crate) async fn money(&self, key: [u8; 32], folder: &Path) -> Money {
        Money::open(wallet(key), Client::new(), &self.network, folder, TIMING).await.unwrap()
    }
}

pub(crate) fn wallet(key: [u8; 32]) -> Wallet {
    Wallet::from_key(Key::from_bytes(&key).unwrap())
}

pub(crate) fn settled(file: &EpochFile, account: Address) -> Settled {
    let (cumulative, proof) = file.credit_proof(account).unwrap();
    Settled { epoch: file.epoch, cumulative, proof }
}

/// What a coordinator says of an account with that much settled and nothing else.
pub(crate) fn account(address: Address, settled: Option<Settled>) -> Account {
    Account {
        address,
        awaiting_verdict: 0,
        awaiting_amount: Amount::ZERO,
        accepted: 0,
        rejected: 0,
        credited: settled.as_ref().map_or(Amount::ZERO, |settled| settled.cumulative),
        settled,
        deposited: Amount::ZERO,
        reserved: Amount::ZERO,
        spent: Amount::ZERO,
    }
}

/// A payment whose steps nobody watches.
pub(crate) fn silent() -> impl FnMut(surge_wallet::Step, &surge_wallet::Payment) + Send {
    |_, _| {}
}
