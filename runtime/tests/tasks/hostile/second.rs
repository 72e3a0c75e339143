//! A second supervising process beside the stand, to be killed or frozen.

use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use surge_supervisor::{Config, Priority, Supervisor};

use super::case::ending;
use super::checkpoints::{counting, kept_in};
use super::stand::process;
use crate::determinism::mixture;
use crate::door::{program, until, wait_for_in, wat, worker};

/// How long a worker may say nothing to the second process.
pub(crate) const STALL: Duration = Duration::from_millis(300);
/// Rounds of a mixture that takes longer than a worker may compute unattended, on a machine of any speed.
const LONG: u32 = 500_000_000;
/// Where the second process keeps checkpoints.
const FOLDER: &str = "SURGE_HOSTILE_FOLDER";

/// The process, as the stand sees it.
#[derive(Debug)]
pub(crate) struct Second {
    pub(crate) child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Second {
    /// Starts it with `folder` for checkpoints.
    pub(crate) fn start(part: &str, folder: &Path) -> Self {
        let mut child = process(part).env(FOLDER, folder).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The process of its worker, when its program runs.
    pub(crate) fn worker(&mut self) -> u32 {
        self.says("worker ").parse().unwrap()
    }

    /// What it says after `word`.
    pub(crate) fn says(&mut self, word: &str) -> String {
        self.lines.by_ref().map(Result::unwrap).find_map(|line| Some(line.split_once(word)?.1.to_owned())).unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        send(self.child.id(), signal);
    }
}

pub(crate) fn send(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal).unwrap();
}

/// What that process does.
pub(crate) fn play(part: &str) {
    // What takes seconds of CPU time would take minutes beside others at idle priority.
    let priority = if part == "long mixture" { Priority::Usual } else { Priority::Idle };
    let supervisor = Supervisor::start(Config { priority, stall_after: STALL, ..Config::new(worker()) }).unwrap();
    let task = match part {
        "endless" => wat(&program("(loop $l (br $l))")),
        "mixture" => mixture(10_000_000),
        "long mixture" => mixture(LONG),
        "counting" => {
            let mut task = counting(400_000);
            task.checkpoints = kept_in(Path::new(&std::env::var_os(FOLDER).unwrap()), Duration::ZERO);
            task
        }
        _ => panic!("there is no part {part}"),
    };
    let running = supervisor.run(task, 1.0);
    let pid = until(|| Some(wait_for_in(&supervisor, running.id())).filter(|worker| worker.cpu_ms > 20)).pid;
    // The harness has begun a line of its own.
    println!("\nworker {pid}");
    let finished = running.wait();
    println!("\nended {} {}", ending(&finished), finished.digest);
}
