//! The desk that a test sits at, and the homes that its engine may have.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use surge_client::ask;
use surge_client::view::{Reason, ReasonCode, Snapshot, State};
use surge_client::wire::Request;
use surge_contributor::{Payout, device_key};
use surge_platform::paths::Paths;
use surge_protocol::Address;
use surge_protocol::network as manifest;
use surge_protocol::sign::{Key, PayoutBinding};
use surge_tests::counting;
use surge_tests::graphical::Graphical;
use surge_tests::network::{Network, Person};
use surge_tests::screen::{Picture, Server};

use crate::seen::eventually;

/// A desk to sit at: screen, session bus, and a home that is attached to a network which is away.
pub(crate) struct Desk {
    pub(crate) graphical: Graphical,
    pub(crate) paths: Paths,
    _folder: tempfile::TempDir,
}

impl Desk {
    pub(crate) fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let paths = Paths { home: folder.path().join("surge") };
        attach(&paths)?;
        Self::with(paths, folder)
    }

    /// A desk for a home in which nothing is set up, but that other engines may run on this machine.
    pub(crate) fn bare() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let paths = Paths { home: folder.path().join("surge") };
        std::fs::create_dir_all(&paths.home)?;
        std::fs::write(paths.settings(), "share_machine = true\n")?;
        Self::with(paths, folder)
    }

    /// A desk for a home that is there already.
    pub(crate) fn at(paths: Paths) -> Result<Self> {
        Self::with(paths, tempfile::tempdir()?)
    }

    fn with(paths: Paths, folder: tempfile::TempDir) -> Result<Self> {
        Ok(Self { graphical: Graphical::start()?, paths, _folder: folder })
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let program = program("surge-desktop").unwrap_or_else(|error| panic!("{error:#}"));
        let mut surge = self.graphical.app(&program, &self.paths.home);
        surge.args(args);
        surge
    }

    pub(crate) fn start(&self, args: &[&str]) -> Result<Server> {
        Ok(Server(self.command(args).spawn()?))
    }

    /// The engine's state, once it is `state` and says why.
    pub(crate) async fn engine(&self, state: State) -> Result<Snapshot> {
        let wanted = async || {
            let snapshot = ask(&self.paths, Request::Snapshot).await.ok().map(|engine| engine.snapshot);
            let settled = |reason: &Reason| reason.code != ReasonCode::Starting;
            let says_why =
                |snapshot: &Snapshot| state == State::Earning || snapshot.reasons.first().is_some_and(settled);
            Ok(snapshot.filter(|snapshot| snapshot.state == state && says_why(snapshot)))
        };
        eventually(&format!("the engine to be {state:?}"), wanted).await
    }

    /// The processes that are engines of this home.
    pub(crate) fn engines(&self) -> Result<Vec<u32>> {
        let home = self.paths.home.to_string_lossy().into_owned();
        let mut engines = Vec::new();
        for entry in std::fs::read_dir("/proc")?.flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse() else { continue };
            // A process may go while it is looked at.
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let words: Vec<_> = line.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
            if words.iter().any(|word| word == "run") && words.iter().any(|word| *word == home) {
                engines.push(pid);
            }
        }
        Ok(engines)
    }

    pub(crate) async fn window(&self) -> Result<u32> {
        eventually("the window", async || self.graphical.screen.window("Surge")).await
    }

    /// What the window shows, once `seen` finds something in it. In vain, its last picture is kept for a look.
    pub(crate) async fn painted<T>(&self, window: u32, seen: impl Fn(&Picture) -> Option<T>) -> Result<(Picture, T)> {
        let waited = eventually("the window to paint", async || {
            let picture = self.graphical.screen.look_at(window)?;
            Ok(seen(&picture).map(|found| (picture, found)))
        });
        let painted = waited.await;
        if painted.is_err() {
            let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("desktop-last-seen.png");
            self.graphical.screen.look_at(window)?.save(&kept)?;
            eprintln!("the window showed {}", kept.display());
        }
        painted
    }
}

impl Drop for Desk {
    /// The engine outlives the app, but not the test.
    fn drop(&mut self) {
        for engine in self.engines().unwrap_or_default() {
            // It may be gone already.
            let _ = signal(engine, Signal::KILL);
        }
    }
}

pub(crate) fn signal(process: u32, signal: Signal) -> Result<()> {
    let process = Pid::from_raw(i32::try_from(process)?).context("a process")?;
    Ok(kill_process(process, signal)?)
}

/// Writes what `surge attach` and `surge wallet new` leave behind, for a network whose coordinator does not answer.
fn attach(paths: &Paths) -> Result<()> {
    std::fs::create_dir_all(&paths.home)?;
    let key = |seed: u8| Key::from_bytes(&[seed; 32]).context("a key");
    let (coordinator, owner) = (key(1)?, key(2)?);
    let network = manifest::Network {
        name: "away".into(),
        coordinators: vec!["http://127.0.0.1:9".into()],
        chain_id: 31337,
        rpc: vec!["http://127.0.0.1:9".into()],
        token: Address::repeat_byte(1),
        settlement: Address::repeat_byte(2),
        treasury: Address::repeat_byte(3),
        fee_bps: 500,
        coordinator_key: coordinator.address(),
    };
    let binding =
        PayoutBinding { node: device_key(&paths.device_key())?.address(), payout: owner.address(), issuedAt: 1 };
    let payout = Payout { payout: owner.address(), issued_at: 1, signature: owner.sign(&binding, &network.domain()) };
    std::fs::write(paths.network(), serde_json::to_vec(&network.sign(&coordinator))?)?;
    std::fs::write(paths.payout(), serde_json::to_vec(&payout)?)?;
    std::fs::write(paths.settings(), "presence = \"headless\"\nshare_machine = true\nother_load_percent = 100\n")?;
    Ok(())
}

/// A whole network with two tasks, and somebody who runs one of them at a time, slowly.
pub(crate) fn work_for_one(folder: &Path) -> Result<(Network, Person)> {
    let network = Network::start(folder);
    let (requester, owner) = (network.person("requester", 100), network.person("owner", 0));
    let _ = requester.answer(&["wallet", "deposit", "50"]);
    let module = folder.join("counting.wasm");
    std::fs::write(&module, counting::module(2_000, 1_000_000))?;
    let _ = requester.submit(&module, &[vec![1], vec![2]], 1);
    let mut settings = std::fs::read_to_string(owner.home.join("settings.toml"))?;
    settings.push_str("presence = \"headless\"\nshare_machine = true\nworkers = 1\ncpu_percent = 2\n");
    std::fs::write(owner.home.join("settings.toml"), settings)?;
    Ok((network, owner))
}

/// A program of this build, beside the tests.
pub(crate) fn program(name: &str) -> Result<PathBuf> {
    let tests = std::env::current_exe()?;
    let folder = tests.ancestors().nth(2).context("the tests are in target/PROFILE/deps")?;
    for needed in [name, "surge", "surge-worker"] {
        ensure!(folder.join(needed).is_file(), "{needed} is not built: run `cargo build --workspace`, or `./x test`");
    }
    Ok(folder.join(name))
}
