//! Homes in every state that a command may meet.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal};
use surge_protocol::Address;
use surge_protocol::network::{Network, SignedNetwork};
use surge_protocol::sign::Key;

/// A coordinator's address at which nobody is.
pub(crate) const NOBODY: &str = "http://127.0.0.1:9";

/// The state of a home before a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An empty folder.
    Empty,
    /// No folder yet.
    Missing,
    /// A file where the home should be.
    File,
    /// Where no folder can be made.
    Nowhere,
    /// A folder deeper than the path of a socket may be.
    Deep,
    /// With a network at which nobody answers.
    Attached,
    /// Its manifest is no JSON.
    BrokenManifest,
    /// Its settings have two errors.
    BrokenSettings,
    /// Its settings are in another encoding.
    ForeignSettings,
    /// Its database is no database.
    BrokenStore,
}

impl Kind {
    pub(crate) const ALL: [Self; 10] = [
        Self::Empty,
        Self::Missing,
        Self::File,
        Self::Nowhere,
        Self::Deep,
        Self::Attached,
        Self::BrokenManifest,
        Self::BrokenSettings,
        Self::ForeignSettings,
        Self::BrokenStore,
    ];
}

/// A home, and beside it a desk with files that commands may be given.
pub(crate) struct Home {
    pub(crate) kind: Kind,
    folder: tempfile::TempDir,
}

/// A signed manifest of a network whose coordinator is at `url`.
pub(crate) fn manifest(url: &str) -> SignedNetwork {
    let key = Key::from_bytes(&[9; 32]).unwrap();
    let network = Network {
        name: "test".into(),
        coordinators: vec![url.into()],
        chain_id: 31337,
        rpc: vec![NOBODY.into()],
        token: Address::repeat_byte(1),
        settlement: Address::repeat_byte(2),
        treasury: Address::repeat_byte(3),
        fee_bps: 500,
        coordinator_key: key.address(),
    };
    network.sign(&key)
}

impl Home {
    pub(crate) fn new(kind: Kind) -> Self {
        let home = Self { kind, folder: tempfile::tempdir().unwrap() };
        let path = home.path();
        match kind {
            Kind::Missing | Kind::Nowhere => {}
            Kind::File => fs::write(&path, "").unwrap(),
            _ => fs::create_dir_all(&path).unwrap(),
        }
        let sound = serde_json::to_vec(&manifest(NOBODY)).unwrap();
        match kind {
            Kind::Attached => fs::write(path.join("network.json"), &sound).unwrap(),
            Kind::BrokenManifest => fs::write(path.join("network.json"), "{").unwrap(),
            Kind::BrokenSettings => {
                fs::write(path.join("settings.toml"), "cpu_percent = 400\nworker = 1\n").unwrap();
            }
            Kind::ForeignSettings => fs::write(path.join("settings.toml"), b"# gr\xfcn\n").unwrap(),
            Kind::BrokenStore => fs::write(path.join("engine.sqlite"), vec![7; 5000]).unwrap(),
            _ => {}
        }
        home.lay_out(&sound);
        home
    }

    /// The files that rows name as `{desk}/NAME`.
    fn lay_out(&self, manifest: &[u8]) {
        let desk = self.desk();
        fs::create_dir_all(desk.join("folder")).unwrap();
        let write = |name: &str, bytes: &[u8]| fs::write(desk.join(name), bytes).unwrap();
        write("network.json", manifest);
        write("empty.json", b"{}");
        write("latin.json", b"{\"a\": \"gr\xfcn\"}");
        write("forged.json", String::from_utf8_lossy(manifest).replace("\"test\"", "\"best\"").as_bytes());
        write("large.json", &vec![b' '; 100_000]);
        write("passphrase", b"correct horse battery staple\n");
        write("no-passphrase", b"\n");
        write("job.toml", b"x\n");
        write("unknown.toml", b"name = \"a\"\nmodul = \"b\"\n");
        write("module.wasm", b"no module");
        write("unreadable", b"");
        fs::set_permissions(desk.join("unreadable"), fs::Permissions::from_mode(0o000)).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, desk.join("pipe"), 0o600.into()).unwrap();
    }

    pub(crate) fn path(&self) -> PathBuf {
        match self.kind {
            Kind::Deep => self.folder.path().join("h".repeat(120)),
            Kind::Nowhere => "/proc/surge".into(),
            _ => self.folder.path().join("home"),
        }
    }

    pub(crate) fn desk(&self) -> PathBuf {
        self.folder.path().join("desk")
    }

    /// An argument of a row, with the paths of this home in it.
    pub(crate) fn fill(&self, argument: &str) -> String {
        argument.replace("{desk}", &self.desk().display().to_string())
    }

    pub(crate) fn run(&self, args: &[&str], json: bool) -> Output {
        let args: Vec<_> = args.iter().copied().chain(json.then_some("--json")).collect();
        self.run_with_input(&args, "")
    }

    pub(crate) fn run_with_input(&self, args: &[&str], stdin: &str) -> Output {
        let mut command = self.surge(args);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // A command that reads nothing may have ended already.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        if args.first() == Some(&"run") && !args.contains(&"--exit-when-not-set-up") {
            self.end_once_it_answers(&mut child);
        }
        child.wait_with_output().unwrap()
    }

    /// Ends an engine that has started after all, as somebody who is asked for it does.
    fn end_once_it_answers(&self, engine: &mut Child) {
        while engine.try_wait().unwrap().is_none() {
            if self.surge(&["status"]).output().unwrap().status.success() {
                rustix::process::kill_process(Pid::from_child(engine), Signal::TERM).unwrap();
                return;
            }
        }
    }

    fn surge(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_surge"));
        command.args(args).env("SURGE_HOME", self.path()).current_dir(self.desk());
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
            command.env_remove(name).env_remove(name.to_lowercase());
        }
        let others =
            ["SURGE_PASSPHRASE_FILE", "DBUS_SESSION_BUS_ADDRESS", "SURGE_WORKER", "NOTIFY_SOCKET", "RUST_LOG", "TZ"];
        for name in others {
            command.env_remove(name);
        }
        command
    }
}
