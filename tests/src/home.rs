//! A contributor's home that is attached to some coordinator, without a chain: enough for all that an engine does before
//! it gets work.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use surge_contributor::{Payout, device_key, unix_now};
use surge_platform::paths::Paths;
use surge_protocol::Address;
use surge_protocol::network::{Network, SignedNetwork};
use surge_protocol::sign::{Key, PayoutBinding};

use crate::network::{Running, program, wait_for};

/// A signed manifest that names a coordinator.
///
/// # Panics
/// Never: the key is one.
#[must_use]
pub fn manifest(coordinator: &str) -> SignedNetwork {
    let key = Key::from_bytes(&[9; 32]).expect("a key");
    let network = Network {
        name: "test".into(),
        coordinators: vec![coordinator.to_owned()],
        chain_id: 31_337,
        rpc: vec!["http://127.0.0.1:9/".into()],
        token: Address::repeat_byte(1),
        settlement: Address::repeat_byte(2),
        treasury: Address::repeat_byte(3),
        fee_bps: 500,
        coordinator_key: key.address(),
    };
    network.sign(&key)
}

/// `command` without what the environment of somebody who runs the tests may say to our programs.
#[must_use]
pub fn without_environment(mut command: Command) -> Command {
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    for name in ["DBUS_SESSION_BUS_ADDRESS", "SURGE_WORKER", "SURGE_PASSPHRASE_FILE", "NOTIFY_SOCKET", "RUST_LOG"] {
        command.env_remove(name);
    }
    command
}

/// A home folder.
#[derive(Debug)]
pub struct Home {
    folder: tempfile::TempDir,
}

impl Default for Home {
    fn default() -> Self {
        Self::new()
    }
}

impl Home {
    /// An empty one.
    ///
    /// # Panics
    /// When there is no folder for temporary files.
    #[must_use]
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    /// One that is ready to contribute to `coordinator`.
    ///
    /// # Panics
    /// When the folder can't be written.
    #[must_use]
    pub fn attached(coordinator: &str) -> Self {
        let home = Self::new();
        home.attach(&manifest(coordinator));
        home
    }

    /// Attaches it, as `surge attach` and `surge wallet bind` do.
    ///
    /// # Panics
    /// When the folder can't be written.
    pub fn attach(&self, signed: &SignedNetwork) {
        let paths = self.paths();
        fs::write(paths.network(), serde_json::to_vec(signed).expect("plain")).expect("the folder can be written");
        let device = device_key(&paths.device_key()).expect("a key");
        let owner = Key::from_bytes(&[7; 32]).expect("a key");
        let (payout, issued_at) = (owner.address(), unix_now());
        let binding = PayoutBinding { node: device.address(), payout, issuedAt: issued_at };
        let signature = owner.sign(&binding, &signed.network.domain());
        let payout = serde_json::to_vec(&Payout { payout, issued_at, signature }).expect("plain");
        fs::write(paths.payout(), payout).expect("the folder can be written");
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    #[must_use]
    pub fn paths(&self) -> Paths {
        Paths { home: self.path().to_owned() }
    }

    /// Writes a file of the home.
    ///
    /// # Panics
    /// When that fails.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        fs::write(&path, text).expect("the folder can be written");
        path
    }

    /// `surge` with this home, and nothing of the environment that would change what it does.
    #[must_use]
    pub fn surge(&self, args: &[&str]) -> Command {
        let mut command = without_environment(Command::new(program("surge")));
        command.args(args).env("SURGE_HOME", self.path()).current_dir(self.path()).stdin(Stdio::null());
        command
    }

    /// The engine, which shares the machine with those of other tests.
    #[must_use]
    pub fn engine(&self) -> Command {
        let mut command = self.surge(&["run", "--presence", "headless", "--share-machine"]);
        command.stderr(Stdio::null());
        command
    }

    /// Starts the engine and waits until it answers.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn started(&self) -> Running {
        self.start(&mut self.engine())
    }

    /// Starts `engine` and waits until it answers.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn start(&self, engine: &mut Command) -> Running {
        let mut running = Running(engine.spawn().expect("surge starts"));
        wait_for("the engine", || {
            let ended = running.0.try_wait().expect("our own child");
            assert!(ended.is_none(), "the engine ended: {ended:?}");
            self.surge(&["status"]).output().expect("surge starts").status.success().then_some(())
        });
        running
    }

    /// Runs `surge`.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::of(&mut self.surge(args))
    }
}

/// What a program did.
#[derive(Debug)]
pub struct Ran {
    pub status: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// Runs `command` to its end.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn of(command: &mut Command) -> Self {
        let Output { status, stdout, stderr } = command.output().expect("the program starts");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self { status: status.code(), out: text(stdout), err: text(stderr) }
    }

    /// What it printed with `--json`.
    ///
    /// # Panics
    /// When that is no JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Status and code of the error it ended with.
    ///
    /// # Panics
    /// When it told none.
    #[must_use]
    pub fn failure(&self) -> (i32, &str) {
        let code = self.err.rsplit_once('[').and_then(|(_, rest)| rest.split_once(']'));
        let (code, _) = code.unwrap_or_else(|| panic!("no code: {self:?}"));
        (self.status.unwrap_or(-1), code)
    }
}

/// Ends a child of ours that would never end, so that a test fails that waits for what it says.
///
/// # Panics
/// When it is none.
pub fn end_some_time(child: &Child) {
    let child = rustix::process::Pid::from_child(child);
    let child = rustix::process::pidfd_open(child, rustix::process::PidfdFlags::empty()).expect("our own child");
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(120));
        // It has ended long ago, as it should.
        let _ = rustix::process::pidfd_send_signal(child, rustix::process::Signal::KILL);
    });
}

/// Sends a signal to a child of ours.
///
/// # Panics
/// When it is none.
pub fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, signal).expect("our own child");
}
