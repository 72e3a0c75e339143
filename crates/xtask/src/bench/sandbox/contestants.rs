//! Who runs a kernel, and how its CPU time is taken.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use crate::run::{root, target};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Contestant {
    /// The native twin by the compiler that also made the module
    Clang,
    /// The native twin by the system's compiler
    Gcc,
    Worker,
    WorkerFuel,
    /// wasmtime's own build with its default settings
    Wasmtime,
    /// node
    V8,
}

pub(super) const CONTESTANTS: [Contestant; 6] = [
    Contestant::Clang,
    Contestant::Gcc,
    Contestant::Worker,
    Contestant::WorkerFuel,
    Contestant::Wasmtime,
    Contestant::V8,
];

impl Contestant {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Clang => "clang",
            Self::Gcc => "gcc",
            Self::Worker => "worker",
            Self::WorkerFuel => "worker_fuel",
            Self::Wasmtime => "wasmtime",
            Self::V8 => "v8",
        }
    }

    /// Runs a kernel; gives its checksum, and the CPU seconds of the process and all that it started.
    pub(super) fn run(self, kernel: &str, rounds: u32, python: &Path, folder: &Path) -> Result<(String, f64)> {
        let mut command = self.command(kernel, rounds, python, folder);
        // Nothing else is started while this one runs, so that all that children used since is its own.
        let before = cpu_of_children()?;
        let done = command.stdin(Stdio::null()).output().with_context(|| format!("could not start {command:?}"))?;
        let cpu = cpu_of_children()? - before;
        ensure!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
        Ok((String::from_utf8_lossy(&done.stdout).trim().to_owned(), cpu))
    }

    fn command(self, kernel: &str, rounds: u32, python: &Path, folder: &Path) -> Command {
        let module = folder.join(kernel).with_extension("wasm");
        let script = |program: &Path, script: &str| {
            let mut command = Command::new(program);
            command.arg(root().join("benches/sandbox").join(script)).arg(&module).arg(rounds.to_string());
            command
        };
        let worker = |meter: &str| {
            let mut command = Command::new(target().join("release/surge"));
            command.args(["task", "run", "--meter", meter, "--arg"]).arg(rounds.to_string()).arg(&module);
            command
        };
        match self {
            Self::Clang | Self::Gcc => {
                let mut command = Command::new(folder.join(kernel).with_extension(self.name()));
                command.arg(rounds.to_string());
                command
            }
            Self::Worker => worker("none"),
            Self::WorkerFuel => worker("fuel"),
            Self::Wasmtime => script(python, "on_wasmtime.py"),
            Self::V8 => script(Path::new("node"), "on_v8.mjs"),
        }
    }
}

/// User and system time of every child that has ended, and of theirs.
fn cpu_of_children() -> Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    Ok((usage.user_time() + usage.system_time()).num_microseconds() as f64 / 1e6)
}
