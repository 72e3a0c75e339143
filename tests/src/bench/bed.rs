//! A contributor's computer with a network to work for: chain, coordinator, a job of endless tasks, the engine.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result};

use super::process;
use crate::network::{Network, Person, Running, wait_for};

/// Tasks of the job; each ends at its CPU limit.
const TASKS: usize = 60;
/// Workers that run at once.
pub(super) const WORKERS: usize = 2;
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

pub(super) struct Bed {
    pub(super) person: Person,
    requester: Person,
    engine: Running,
    _network: Network,
}

impl Bed {
    /// Starts everything in `folder`; `seat` is what the engine's environment says of its display.
    pub(super) fn start(folder: &Path, seat: &[(&str, String)]) -> Result<Self> {
        let network = Network::start(folder);
        let requester = network.person("requester", 100_000);
        let person = network.person("contributor", 0);
        let _ = requester.answer(&["wallet", "deposit", "90000"]);
        let mut command = person.surge();
        command.args(["run", "--share-machine", "--workers", &WORKERS.to_string(), "--idle-after", IDLE_AFTER]);
        for name in ["DISPLAY", "WAYLAND_DISPLAY", "XDG_SESSION_TYPE", "XDG_RUNTIME_DIR"] {
            command.env_remove(name);
        }
        command.envs(seat.iter().map(|(name, value)| (name, value)));
        command.stdout(Stdio::null()).stderr(fs::File::create(person.home.join("engine.log"))?);
        let engine = Running(command.spawn()?);
        wait_for("the engine's first answer", || person.try_ask(&["status"]).0.then_some(()));
        Ok(Self { person, requester, engine, _network: network })
    }

    /// Orders the endless tasks.
    pub(super) fn order(&self) -> Result<()> {
        let home = &self.requester.home;
        fs::write(home.join("walk.wasm"), wat::parse_str(WALK).context("the text is WebAssembly")?)?;
        let inputs: Vec<_> = (0..TASKS).map(|n| format!("{n}.in")).collect();
        for name in &inputs {
            fs::write(home.join(name), name)?;
        }
        let job = home.join("walk.toml");
        fs::write(
            &job,
            format!(
                "name = \"walk\"\nmodule = \"walk.wasm\"\nprice = \"0.5\"\nquorum = 1\ndeadline_minutes = 600\ninputs = {inputs:?}\n\
                 [limits]\nmemory_mib = 80\ncpu_seconds = 600\n"
            ),
        )?;
        let _ = self.requester.answer(&["submit", job.to_str().context("a plain path")?]);
        Ok(())
    }

    pub(super) fn engine(&self) -> u32 {
        self.engine.0.id()
    }

    /// The workers, by what the kernel says of the engine's children.
    pub(super) fn workers(&self) -> Vec<u32> {
        process::children(self.engine())
    }

    pub(super) fn pause(&self) {
        let _ = self.person.answer(&["pause"]);
    }

    pub(super) fn resume(&self) {
        let _ = self.person.answer(&["resume"]);
    }
}
