//! The model: what the owner and accidents did so far, and what must therefore be true.

mod shell;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use surge_tests::counting;
use surge_tests::executable;
use surge_tests::home::signal;
use surge_tests::network::{Network, Person, Running, program, wait_for};
use surge_tests::process::{Clock, children};

use shell::{Shell, Shown, Watch, is_paused};

/// The programs of an installation.
const PROGRAMS: [&str; 2] = ["surge", "surge-worker"];
/// CPU time that a worker may use after its engine's death.
const ORPHANS_MAY: Duration = Duration::from_secs(1);
/// A pause is kept as a duration, and shown as a time of day in whole seconds.
const ROUNDING_S: u64 = 2;
/// Shells at once.
const MOST_SHELLS: usize = 3;

/// Rounds of a task, and steps of each, about a nanosecond long: it never ends here.
const ROUNDS: u64 = 1_000_000;
const ROUND_STEPS: u64 = 1_000_000;
/// A worker has synced when it has used so much. Time for it to get there, before its engine is killed all the same.
const SYNCED: Duration = Duration::from_millis(300);
const A_WHILE: Duration = Duration::from_secs(5);

/// What happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    StartEngine,
    /// It is killed so many milliseconds after it was started.
    CrashStartingEngine(u64),
    CrashEngine,
    StopEngine,
    /// On the same home, beside the one that runs.
    StartSecondEngine,
    StartShell,
    CrashShell(usize),
    StopShell(usize),
    /// Other files take the place of the programs, as a package manager does it.
    Upgrade,
    Pause,
    PauseForAWhile,
    Resume,
}

/// What the owner wants, which outlives every engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Intent {
    Run,
    Paused,
    /// Until this unix second.
    PausedUntil(u64),
}

pub(crate) struct World {
    /// The installed programs.
    programs: PathBuf,
    person: Person,
    _network: Network,
    random: u64,
    engine: Option<Running>,
    shells: Vec<Box<dyn Shell>>,
    intent: Intent,
    /// Workers whose engine was killed.
    orphans: usize,
}

impl World {
    /// An installation with work to do, and nothing started.
    pub(crate) fn new(folder: &Path, seed: u64) -> Self {
        let network = Network::start(folder);
        let requester = network.person("requester", 1_000);
        let person = network.person("contributor", 0);
        let _ = requester.answer(&["wallet", "deposit", "900"]);
        let module = folder.join("counting.wasm");
        fs::write(&module, counting::module(ROUNDS, ROUND_STEPS)).unwrap();
        let inputs: Vec<_> = (0..100_u64).map(|n| n.to_le_bytes().to_vec()).collect();
        let _ = requester.submit(&module, &inputs, 1);
        let programs = folder.join("bin");
        fs::create_dir(&programs).unwrap();
        let world = Self {
            programs,
            person,
            _network: network,
            random: seed,
            engine: None,
            shells: Vec::new(),
            intent: Intent::Run,
            orphans: 0,
        };
        world.install();
        world
    }

    /// A number below `below`, by splitmix64.
    fn random(&mut self, below: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }

    /// One of what can happen now.
    pub(crate) fn choose(&mut self) -> Operation {
        let moment = self.random(600);
        let shell = usize::try_from(self.random(MOST_SHELLS as u64)).unwrap();
        let mut possible = vec![Operation::Upgrade];
        if self.engine.is_some() {
            use Operation::{CrashEngine, Pause, PauseForAWhile, Resume, StartSecondEngine, StopEngine};
            possible.extend([CrashEngine, StopEngine, StartSecondEngine, Pause, PauseForAWhile, Resume]);
            if self.intent != Intent::Run {
                // Work goes on again soon: without it there is nothing to lose.
                possible.extend([Resume; 3]);
            }
            if self.shells.len() < MOST_SHELLS {
                possible.extend([Operation::StartShell; 2]);
            }
        } else {
            possible.extend([Operation::StartEngine, Operation::StartEngine, Operation::CrashStartingEngine(moment)]);
        }
        if shell < self.shells.len() {
            possible.extend([Operation::CrashShell(shell), Operation::StopShell(shell)]);
        }
        let at = self.random(possible.len() as u64);
        possible[usize::try_from(at).unwrap()]
    }

    pub(crate) fn apply(&mut self, operation: Operation) {
        match operation {
            Operation::StartEngine => self.start_engine(),
            Operation::CrashStartingEngine(moment) => {
                self.engine = Some(Running(self.engine_command().spawn().unwrap()));
                sleep(Duration::from_millis(moment));
                self.crash_engine();
            }
            Operation::CrashEngine => {
                self.wait_for_work();
                self.crash_engine();
            }
            Operation::StopEngine => {
                let mut engine = self.engine.take().unwrap();
                signal(&engine.0, Signal::TERM);
                let left = engine.0.wait().unwrap();
                assert!(left.success(), "it stops in order: {left}; {}", self.log());
            }
            Operation::StartSecondEngine => {
                let second = self.engine_command().status().unwrap();
                assert_eq!(second.code(), Some(12), "the home is in use");
            }
            Operation::StartShell => {
                let watch = Watch::start(&mut self.surge(&["status", "--watch", "--json"]));
                self.shells.push(Box::new(watch));
            }
            Operation::CrashShell(at) => self.shells.remove(at).crash(),
            Operation::StopShell(at) => self.shells.remove(at).stop(),
            Operation::Upgrade => self.install(),
            Operation::Pause => self.command(&["pause"], Intent::Paused),
            Operation::PauseForAWhile => {
                self.command(&["pause", "2h"], Intent::Paused);
                let until = self.status()["paused_until"].as_u64().expect("it is paused for a while");
                self.intent = Intent::PausedUntil(until);
            }
            Operation::Resume => self.command(&["resume"], Intent::Run),
        }
    }

    fn start_engine(&mut self) {
        self.engine = Some(Running(self.engine_command().spawn().unwrap()));
        wait_for("the engine", || {
            self.look_after_engine();
            self.surge(&["status"]).output().unwrap().status.success().then_some(())
        });
    }

    /// Until a worker has something to lose, or for a while.
    fn wait_for_work(&self) {
        let engine = self.engine.as_ref().unwrap().0.id();
        let begun = Instant::now();
        let works = || children(engine).into_iter().filter_map(Worker::of).any(|worker| worker.used >= SYNCED);
        while begun.elapsed() < A_WHILE && !works() {
            sleep(Duration::from_millis(20));
        }
    }

    fn crash_engine(&mut self) {
        let mut engine = self.engine.take().unwrap();
        let workers: Vec<_> = children(engine.0.id()).into_iter().filter_map(Worker::of).collect();
        engine.0.kill().unwrap();
        engine.0.wait().unwrap();
        self.orphans += workers.len();
        for worker in workers {
            worker.end_alone();
        }
    }

    fn command(&mut self, args: &[&str], intent: Intent) {
        let done = self.surge(args).stderr(Stdio::piped()).output().unwrap();
        assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
        self.intent = intent;
    }

    /// What must hold whatever happened.
    pub(crate) fn check(&mut self) {
        self.look_after_engine();
        let all = self.running("surge", "run");
        // A worker is the engine's own image for the moment between fork and exec.
        let engines: Vec<_> = all.iter().filter(|pid| !all.contains(&parent(**pid))).collect();
        assert_eq!(engines.len(), usize::from(self.engine.is_some()), "engines: {engines:?}");
        if self.engine.is_none() {
            // Those of an engine that stopped or crashed are on their way out.
            wait_for("the last worker's end", || self.running("surge-worker", "").is_empty().then_some(()));
            let none = self.surge(&["status"]).status().unwrap();
            assert_eq!(none.code(), Some(20), "the command line says that none runs");
        } else {
            // A worker that is being stopped still counts as one that runs.
            let status = wait_for("the state that the owner asked for", || {
                let status = self.status();
                (is_paused(&status) == (self.intent != Intent::Run)).then_some(status)
            });
            if let Intent::PausedUntil(until) = self.intent {
                let shown = status["paused_until"].as_u64().expect("it is paused for a while");
                assert!(shown.abs_diff(until) <= ROUNDING_S, "{until}: {status}");
            }
        }
        let (engine, paused) = (self.engine.is_some(), self.intent != Intent::Run);
        // A shell that watched an engine that has gone says so and may go too.
        self.shells.retain_mut(|shell| {
            let shown = wait_for("a shell that shows what is", || {
                let shown = shell.shows();
                let is_true = match shown {
                    Shown::Paused(shown) => engine && shown == paused,
                    Shown::NoEngine => !engine,
                    // It watched the one before.
                    Shown::SaidNoEngineAndLeft => true,
                    Shown::Nothing => false,
                };
                is_true.then_some(shown)
            });
            shown != Shown::SaidNoEngineAndLeft
        });
    }

    /// At the end everything stops as it is asked to. Says how many workers lost their engine on the way.
    pub(crate) fn end(mut self) -> usize {
        if self.engine.is_none() {
            self.apply(Operation::StartEngine);
        }
        self.apply(Operation::StopEngine);
        self.check();
        self.orphans
    }

    /// An engine ends when it is ended, and not by itself.
    fn look_after_engine(&mut self) {
        if let Some(engine) = &mut self.engine {
            let ended = engine.0.try_wait().unwrap();
            assert!(ended.is_none(), "the engine ended by itself: {ended:?}; {}", self.log());
        }
    }

    fn status(&self) -> Value {
        let output = self.surge(&["status", "--json"]).stdout(Stdio::piped()).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn surge(&self, args: &[&str]) -> Command {
        let usual = self.person.surge();
        let mut command = Command::new(self.programs.join("surge"));
        for (name, value) in usual.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn engine_command(&self) -> Command {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.person.home.join("engine.log"));
        let mut command = self.surge(&[
            "run",
            "--presence",
            "headless",
            "--share-machine",
            "--workers",
            "1",
            "--checkpoint-ms",
            "50",
        ]);
        command.stderr(log.unwrap());
        command
    }

    fn log(&self) -> String {
        let log = fs::read_to_string(self.person.home.join("engine.log")).unwrap_or_default();
        log.chars().skip(log.chars().count().saturating_sub(2_000)).collect()
    }

    /// Puts the programs where they belong, each as a file of its own, in place of those that are there.
    fn install(&self) {
        for name in PROGRAMS {
            let new = self.programs.join(format!("{name}.new"));
            executable::copy(&program(name), &new);
            fs::rename(new, self.programs.join(name)).unwrap();
        }
    }

    /// Processes of this installation's `program` whose arguments begin with `first`.
    fn running(&self, program: &str, first: &str) -> Vec<u32> {
        let path = self.programs.join(program);
        let is_ours = |pid: &u32| {
            let Ok(exe) = fs::read_link(format!("/proc/{pid}/exe")) else { return false };
            // That of a replaced file says so behind its name.
            let exe = exe.to_string_lossy();
            let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let second = arguments.split(|byte| *byte == 0).nth(1).unwrap_or_default();
            exe.trim_end_matches(" (deleted)") == path.to_string_lossy() && second.starts_with(first.as_bytes())
        };
        let all = fs::read_dir("/proc").unwrap().flatten();
        all.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(is_ours).collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for shell in self.shells.drain(..) {
            shell.crash();
        }
    }
}

/// A worker whose engine is about to die.
struct Worker {
    pid: u32,
    clock: Clock,
    used: Duration,
}

impl Worker {
    /// `None` when it has ended meanwhile.
    fn of(pid: u32) -> Option<Self> {
        let clock = Clock::of(pid).ok()?;
        Some(Self { pid, clock, used: clock.now()? })
    }

    /// Its end without an engine, and what it used until then by its own clock.
    fn end_alone(self) {
        let begun = Instant::now();
        while let Some(now) = self.clock.now().filter(|_| !ended(self.pid)) {
            assert!(now - self.used <= ORPHANS_MAY, "worker {} computes on without an engine", self.pid);
            assert!(begun.elapsed() < 100 * ORPHANS_MAY, "worker {} stays without an engine", self.pid);
            sleep(Duration::from_millis(5));
        }
    }
}

/// The process that started it; 0 when it is gone.
fn parent(pid: u32) -> u32 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"));
    parent.and_then(|parent| parent.trim().parse().ok()).unwrap_or(0)
}

/// Whether nothing is left of a process but its status.
fn ended(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')')
        .is_none_or(|(_, rest)| matches!(rest.trim_start().as_bytes().first(), Some(b'Z' | b'X') | None))
}
