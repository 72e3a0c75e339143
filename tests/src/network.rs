//! A whole network on this machine, from the programs that users have: chain, coordinator, people.
//!
//! Deliberately absent: anything that the programs do not offer. It starts them, asks them, kills them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::home::without_environment;
use crate::ports::Port;
use crate::proxy::Proxy;

/// Ten times what the slowest step takes, also on one busy core: a result whose connection stands and leads nowhere is sent
/// again after 20 s. Only what hangs meets this bound.
const PATIENCE: Duration = Duration::from_secs(260);

/// A process that ends with its owner.
#[derive(Debug)]
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Where cargo built the programs of this test run.
///
/// # Panics
/// When this is not a test that cargo built.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    built(name).unwrap_or_else(|| panic!("{name} is not built: run `cargo build --workspace --all-targets`"))
}

/// As [`program`]; `None` when it was not built.
///
/// # Panics
/// Never: a program knows where it is.
#[must_use]
pub fn built(name: &str) -> Option<PathBuf> {
    let this = std::env::current_exe().expect("a program knows where it is");
    // Tests lie in target/PROFILE/deps, programs in target/PROFILE.
    this.ancestors().skip(1).take(2).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// The chain's own program.
///
/// # Panics
/// When the contracts' tools are not installed.
#[must_use]
pub fn anvil() -> PathBuf {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../contracts/node_modules/@foundry-rs");
    let found = fs::read_dir(&packages).into_iter().flatten().flatten().map(|it| it.path().join("bin/anvil"));
    found.into_iter().find(|path| path.is_file()).expect("anvil is installed: run `cargo xtask setup`")
}

/// Looks until something is there.
///
/// # Panics
/// When it does not appear.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("{what} did not happen");
}

/// A chain with contracts, and a coordinator that can be killed and started again.
#[derive(Debug)]
pub struct Network {
    folder: PathBuf,
    pub rpc: String,
    pub url: String,
    port: Port,
    chain_port: Port,
    /// The line that everybody's engine uses.
    pub line: Option<Proxy>,
    pub chain: Option<Running>,
    pub coordinator: Option<Running>,
}

impl Network {
    /// Starts everything in `folder`.
    ///
    /// # Panics
    /// When a program does not do its part.
    #[must_use]
    pub fn start(folder: &Path) -> Self {
        Self::start_with(folder, false)
    }

    /// As [`Self::start`], with a line between the engines and the coordinator that can be made bad.
    ///
    /// # Panics
    /// When a program does not do its part.
    #[must_use]
    pub fn start_behind_a_line(folder: &Path) -> Self {
        Self::start_with(folder, true)
    }

    fn start_with(folder: &Path, line: bool) -> Self {
        let (chain_port, port) = (Port::free(), Port::free());
        let line = line.then(|| Proxy::start(([127, 0, 0, 1], port.number()).into()));
        let mut network = Self {
            folder: folder.to_owned(),
            rpc: format!("http://127.0.0.1:{}", chain_port.number()),
            url: format!("http://127.0.0.1:{}", port.number()),
            port,
            chain_port,
            line,
            chain: None,
            coordinator: None,
        };
        let chain_port = network.chain_port.number().to_string();
        let anvil = Command::new(anvil()).args(["--silent", "--port", &chain_port]).spawn().expect("anvil starts");
        network.chain = Some(Running(anvil));
        wait_for("the chain's first answer", || network.rpc_call("eth_chainId", &json!([])));
        let key = folder.join("operator.key");
        fs::write(&key, "01".repeat(32)).expect("the folder can be written");
        let operator = text(&mut network.operator(&["address"]));
        network.give_ether(operator.trim());
        text(
            network
                .operator(&["deploy", "--name", "test", "--challenge-seconds", "0"])
                .args(["--rpc", &network.rpc, "--url", &network.engines_url()])
                .arg("--home")
                .arg(folder.join("coordinator")),
        );
        network.start_coordinator();
        network
    }

    /// Where engines look for the coordinator.
    fn engines_url(&self) -> String {
        self.line.as_ref().map_or_else(|| self.url.clone(), |line| format!("http://{}", line.address))
    }

    fn operator(&self, args: &[&str]) -> Command {
        let mut command = without_environment(Command::new(program("surge-coordinator")));
        command.args(args).arg("--key-file").arg(self.folder.join("operator.key"));
        command
    }

    /// Starts the coordinator (again) on its home.
    ///
    /// # Panics
    /// When it does not answer.
    pub fn start_coordinator(&mut self) {
        let listen = format!("127.0.0.1:{}", self.port.number());
        let child = self
            .operator(&[
                "run",
                "--epoch-seconds",
                "1",
                "--replay-after-seconds",
                "2",
                "--highest-load",
                "100",
                "--listen",
                &listen,
            ])
            .arg("--home")
            .arg(self.folder.join("coordinator"))
            .stdout(Stdio::null())
            .spawn()
            .expect("the coordinator starts");
        self.coordinator = Some(Running(child));
        wait_for("the coordinator's first answer", || self.get("/v1/status"));
    }

    /// Somebody with a home, a wallet, some ETH for gas, and tokens.
    ///
    /// # Panics
    /// When a program does not do its part.
    #[must_use]
    pub fn person(&self, name: &str, tokens: u32) -> Person {
        let person = Person { home: self.folder.join(name) };
        fs::create_dir_all(&person.home).expect("the folder can be written");
        // A test bed is busy, and nobody waits for quiet fans.
        let settings = "gentle = false\nno_sensor_cpu_percent = 100\nother_load_percent = 100\n";
        fs::write(person.home.join("settings.toml"), settings).expect("the folder can be written");
        let passphrase = person.home.join("passphrase");
        fs::write(&passphrase, "correct horse").expect("the folder can be written");
        fs::set_permissions(&passphrase, fs::Permissions::from_mode(0o600)).expect("our own file");
        person.ask(&["attach", &self.url]);
        person.ask(&["wallet", "new"]);
        self.give_ether(&person.address());
        if tokens > 0 {
            let home = self.folder.join("coordinator");
            text(
                self.operator(&["mint", "--to", &person.address(), "--amount", &tokens.to_string()])
                    .arg("--home")
                    .arg(home),
            );
        }
        person
    }

    /// An answer of the coordinator's API; `None` when it does not answer.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<Value> {
        let output = http(&format!("{}{path}", self.url), None)?;
        serde_json::from_str(&output).ok()
    }

    fn rpc_call(&self, method: &str, params: &Value) -> Option<Value> {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let answer: Value = serde_json::from_str(&http(&self.rpc, Some(&body))?).ok()?;
        answer.get("result").cloned()
    }

    fn give_ether(&self, account: &str) {
        let wei = "0xde0b6b3a7640000";
        self.rpc_call("anvil_setBalance", &json!([account, wei])).expect("the chain gives ETH");
    }
}

/// Somebody who uses `surge`.
#[derive(Debug)]
pub struct Person {
    pub home: PathBuf,
}

impl Person {
    /// `surge` with this person's home.
    #[must_use]
    pub fn surge(&self) -> Command {
        let mut command = without_environment(Command::new(program("surge")));
        command.env("SURGE_HOME", &self.home).env("SURGE_PASSPHRASE_FILE", self.home.join("passphrase"));
        command
    }

    /// Runs `surge … --json`; the answer and whether it was well.
    ///
    /// # Panics
    /// When it prints no JSON.
    #[must_use]
    pub fn try_ask(&self, args: &[&str]) -> (bool, Value) {
        let Output { status, stdout, stderr } = self.surge().args(args).arg("--json").output().expect("surge starts");
        let answer = serde_json::from_slice(&stdout);
        let answer = answer.unwrap_or_else(|_| panic!("surge {args:?}: {}", String::from_utf8_lossy(&stderr)));
        (status.success(), answer)
    }

    /// Runs `surge … --json`, which must succeed.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn answer(&self, args: &[&str]) -> Value {
        let (well, answer) = self.try_ask(args);
        assert!(well, "surge {args:?}: {answer}");
        answer
    }

    fn ask(&self, args: &[&str]) {
        let _ = self.answer(args);
    }

    /// The code of the error that `surge …` must end with.
    ///
    /// # Panics
    /// When it succeeds.
    #[must_use]
    pub fn error(&self, args: &[&str]) -> String {
        let (well, answer) = self.try_ask(args);
        assert!(!well, "surge {args:?} should fail: {answer}");
        answer["error"]["code"].as_str().expect("an error has a code").to_owned()
    }

    /// # Panics
    /// Without a wallet.
    #[must_use]
    pub fn address(&self) -> String {
        self.answer(&["wallet", "address"])["address"].as_str().expect("an address").to_owned()
    }

    /// Starts the engine, headless.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn run(&self) -> Running {
        Running(self.engine(&[]).spawn().expect("surge starts"))
    }

    /// The engine, ready to be started, with one worker unless `args` say otherwise. It adds to its log.
    ///
    /// # Panics
    /// When there is no home.
    #[must_use]
    pub fn engine(&self, args: &[&str]) -> Command {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.home.join("engine.log"));
        let mut command = self.surge();
        command.args(["run", "--presence", "headless", "--share-machine"]);
        if !args.contains(&"--workers") {
            command.args(["--workers", "1"]);
        }
        command.args(args).stderr(log.expect("the home can be written"));
        command
    }

    /// Submits a job of one task for each of `inputs`, at half a token each, and returns its id.
    ///
    /// # Panics
    /// When it is refused.
    #[must_use]
    pub fn submit(&self, module: &Path, inputs: &[Vec<u8>], quorum: u32) -> String {
        for (n, input) in inputs.iter().enumerate() {
            fs::write(self.home.join(format!("{n}.in")), input).expect("the home can be written");
        }
        let names: Vec<_> = (0..inputs.len()).map(|n| format!("\"{n}.in\"")).collect();
        let (module, names) = (module.display().to_string(), names.join(", "));
        let text = format!(
            "name = \"test\"\nmodule = {module:?}\nprice = \"0.5\"\nquorum = {quorum}\ndeadline_minutes = 600\ninputs = [{names}]\n"
        );
        let job = self.home.join("job.toml");
        fs::write(&job, text).expect("the home can be written");
        let answer = self.answer(&["submit", job.to_str().expect("a plain path")]);
        answer["job"].as_str().expect("a job has an id").to_owned()
    }
}

fn text(command: &mut Command) -> String {
    let output = command.output().expect("the program starts");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("programs print text")
}

/// One request to this machine; `None` when nobody answers well.
fn http(url: &str, body: Option<&Value>) -> Option<String> {
    let agent: ureq::Agent =
        ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(10))).proxy(None).build().into();
    let mut reply = match body {
        Some(body) => agent.post(url).send_json(body).ok()?,
        None => agent.get(url).call().ok()?,
    };
    reply.body_mut().read_to_string().ok()
}
