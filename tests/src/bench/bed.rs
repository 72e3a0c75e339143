//! A contributor's computer with a network to work for: chain, coordinator, jobs, the engine.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use super::condition::Condition;
use super::hand::Hand;
use crate::command::through;
use crate::disk::Disk;
use crate::network::{Network, Person, Running, wait_for};
use crate::process;
use crate::screen::Server;

/// Endless tasks, each of which ends at its CPU limit, and tasks that end at once.
const ENDLESS: usize = 60;
const SHORT: usize = 3_000;
/// Data sets of the task that is downloaded, and their size, bytes.
const DATA_SETS: u8 = 4;
const DATA_SET: usize = 1 << 20;
/// Workers that run at once.
pub const WORKERS: usize = 2;
/// Between a condition's beginning and the first trial.
const SETTLE: Duration = Duration::from_secs(5);
/// Time without input after which the owner counts as away.
const IDLE_AFTER: &str = "1s";

/// Walks through 64 MiB in steps that no cache foresees, without end.
const WALK: &str = r#"(module
  (memory (export "memory") 1024)
  (func (export "_start") (local $at i32)
    (loop $next
      (local.set $at (i32.and (i32.const 0x3fffff8)
        (i32.add (i32.mul (local.get $at) (i32.const 1664525)) (i32.const 1013904223))))
      (i64.store (local.get $at) (i64.add (i64.load (local.get $at)) (i64.const 1)))
      (br $next))))"#;

/// Computes for some milliseconds.
const BLINK: &str = r#"(module
  (memory (export "memory") 1)
  (func (export "_start") (local $n i32)
    (loop $next
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $n) (i32.const 10000000))))))"#;

/// The computer.
#[derive(Debug)]
pub struct Bed {
    pub(super) person: Person,
    requester: Person,
    /// What the contributor's home is on, where it is on a disk of its own. It is let go before the engine is ended: who
    /// waits for a disk can't even be killed.
    disk: Option<Disk>,
    engine: Running,
    /// Of the owner's session, where the engine is outside of it.
    reporter: Option<Server>,
    condition: Condition,
    _network: Network,
}

impl Bed {
    /// Starts everything in `folder`, for the owner of this hand. Only this thread sees the contributor's home where that is
    /// on a disk of its own.
    ///
    /// # Errors
    /// When a program can't be started, or there can be no such disk.
    pub fn start(folder: &Path, hand: &Hand, condition: Condition) -> Result<Self> {
        let network = Network::start(folder);
        let requester = network.person("requester", 100_000);
        let person = network.person("contributor", 0);
        let _ = requester.answer(&["wallet", "deposit", "90000"]);
        let disk = if condition.has_disk() { Some(Disk::under(&person.home).context("a disk")?) } else { None };
        if !hand.limits().is_empty() {
            let _ = person.answer(&[&["limits", "set"], hand.limits()].concat());
        }
        let mut command = person.surge();
        command.args(["run", "--share-machine", "--workers", &WORKERS.to_string(), "--idle-after", IDLE_AFTER]);
        for name in ["DISPLAY", "WAYLAND_DISPLAY", "XDG_SESSION_TYPE", "XDG_RUNTIME_DIR"] {
            command.env_remove(name);
        }
        if hand.has_engine() {
            command.envs(hand.session());
        } else {
            // As its unit says.
            let mut nice = Command::new("nice");
            nice.args(["-n", "5"]);
            command = through(nice, &command);
        }
        command.stdout(Stdio::null()).stderr(fs::File::create(folder.join("engine.log"))?);
        let engine = Running(command.spawn()?);
        wait_for("the engine's first answer", || person.try_ask(&["status"]).0.then_some(()));
        let reporter = hand.reporter(person.surge(), &person.home)?;
        Ok(Self { person, requester, disk, engine, reporter, condition, _network: network })
    }

    /// Orders what the engine is to work on in this condition.
    ///
    /// # Errors
    /// When the requester's home can't be written.
    pub fn order(&self) -> Result<()> {
        match self.condition {
            Condition::Quiet | Condition::Settings => self.submit("walk", WALK, ENDLESS, &[]),
            // One for each worker, so that the next task to be fetched is one with data.
            Condition::Downloads => self.submit("walk", WALK, WORKERS, &[]),
            Condition::Spawn => self.submit("blink", BLINK, SHORT, &[]),
        }
    }

    /// Brings about the condition, once the workers compute. Returns how many operations of the disk wait.
    ///
    /// # Errors
    /// When the requester's home can't be written.
    pub fn strain(&self) -> Result<usize> {
        let Some(disk) = &self.disk else { return Ok(0) };
        disk.set(&self.condition.disk());
        if self.condition == Condition::Downloads {
            let names: Vec<_> = (0..DATA_SETS).map(|n| format!("data{n}")).collect();
            for (name, byte) in names.iter().zip(1..) {
                fs::write(self.requester.home.join(name), vec![byte; DATA_SET])?;
            }
            self.submit("download", WALK, 1, &names)?;
            wait_for("a download", || (disk.waiting() > 0).then_some(()));
        }
        // The other downloads begin as well; an engine that looks at its settings from time to time does so.
        std::thread::sleep(SETTLE);
        Ok(disk.waiting())
    }

    /// Submits a job of `tasks` tasks, each with an input and with these data sets of the requester's home.
    fn submit(&self, name: &str, module: &str, tasks: usize, data: &[String]) -> Result<()> {
        let home = &self.requester.home;
        fs::write(home.join(format!("{name}.wasm")), wat::parse_str(module).context("the text is WebAssembly")?)?;
        let inputs: Vec<_> = (0..tasks).map(|n| format!("{n}.in")).collect();
        for input in &inputs {
            fs::write(home.join(input), input)?;
        }
        let data: String = data.iter().map(|name| format!("{name} = {name:?}\n")).collect();
        let job = home.join(format!("{name}.toml"));
        fs::write(
            &job,
            format!(
                "name = {name:?}\nmodule = \"{name}.wasm\"\nprice = \"0.5\"\nquorum = 1\ndeadline_minutes = 600\ninputs = {inputs:?}\n\
                 [limits]\nmemory_mib = 80\ncpu_seconds = 600\n[data]\n{data}"
            ),
        )?;
        let _ = self.requester.answer(&["submit", job.to_str().context("a plain path")?]);
        Ok(())
    }

    pub(super) fn engine(&self) -> u32 {
        self.engine.0.id()
    }

    /// The reporter, where there is one.
    pub(super) fn reporter(&self) -> Option<u32> {
        self.reporter.as_ref().map(|reporter| reporter.0.id())
    }

    /// The workers, by what the kernel says of the engine's children.
    #[must_use]
    pub fn workers(&self) -> Vec<u32> {
        process::children(self.engine())
    }

    /// The contributor's disk, where the condition has one.
    #[must_use]
    pub const fn disk(&self) -> Option<&Disk> {
        self.disk.as_ref()
    }

    /// Whether the engine answers.
    #[must_use]
    pub fn answers(&self) -> bool {
        self.person.try_ask(&["status"]).0
    }

    pub(super) fn pause(&self) {
        let _ = self.person.answer(&["pause"]);
    }

    pub(super) fn resume(&self) {
        let _ = self.person.answer(&["resume"]);
    }
}
