//! What an author can check before a network does: that two runs agree, and that a run which was killed goes on.
//!
//! Deliberately absent: opinions about the program. It says what was the same and what was not.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use surge_protocol::{Digest, Outcome};
use surge_supervisor::{Checkpoints, Finished, Supervisor, Task};

use super::usage;
use crate::failure::Failure;

/// How often it is looked whether the moment to kill has come.
const LOOK: Duration = Duration::from_millis(2);

/// The outcome of a check.
#[derive(Debug)]
pub(super) struct Checked {
    /// Of the run that was not disturbed.
    first: Digest,
    second: Digest,
    /// How the second run ended.
    ending: String,
    killed: Option<Killed>,
}

/// What became of a run that was killed.
#[derive(Debug)]
struct Killed {
    cpu_ms: u64,
    /// Whether there was a checkpoint to go on from.
    resumed: bool,
}

impl Checked {
    pub(super) fn agrees(&self) -> bool {
        self.first == self.second
    }

    /// For people.
    pub(super) fn sentence(&self) -> String {
        let verdict = match self.agrees() {
            true => "the same result".to_owned(),
            false => format!("ANOTHER RESULT: {} at first, {} then ({})", self.first, self.second, self.ending),
        };
        match &self.killed {
            None => format!("twice, in two processes: {verdict}"),
            Some(Killed { cpu_ms, resumed: true }) => {
                format!("killed after {cpu_ms} ms of CPU time, then resumed from its last checkpoint: {verdict}")
            }
            Some(Killed { cpu_ms, resumed: false }) => format!(
                "killed after {cpu_ms} ms of CPU time; it had synced nothing in /state, so it began again: {verdict}"
            ),
        }
    }

    /// For programs, under stable keys.
    pub(super) fn json(&self) -> Value {
        let killed = self.killed.as_ref();
        json!({
            "agrees": self.agrees(), "second_digest": self.second,
            "killed_at_cpu_ms": killed.map(|killed| killed.cpu_ms), "resumed": killed.map(|killed| killed.resumed),
        })
    }
}

/// Runs `task` again, in another process, to be compared with `first`.
pub(super) fn twice(supervisor: &Supervisor, task: Task, first: &Finished) -> Checked {
    let second = supervisor.run(task, 1.0).wait();
    Checked { first: first.digest, second: second.digest, ending: ending(&second), killed: None }
}

/// Runs `task` until it has used `cpu`, kills it, and runs it again to its end, with checkpoints in `folder` at every
/// sync.
///
/// # Errors
/// When the task ends before it can be killed, or does not end as it should.
pub(super) fn killed(
    supervisor: &Supervisor,
    mut task: Task,
    first: &Finished,
    cpu: Duration,
    folder: &Path,
) -> Result<Checked, Failure> {
    task.checkpoints = Some(Checkpoints { folder: folder.to_owned(), task: first.digest, every: Duration::ZERO });
    let running = supervisor.run(task.clone(), 1.0);
    let ended = loop {
        let used = supervisor.workers().into_iter().find(|worker| worker.id == running.id());
        if used.is_some_and(|worker| u128::from(worker.cpu_ms) >= cpu.as_millis()) {
            supervisor.kill(running.id());
            break running.wait();
        }
        if let Some(finished) = running.wait_timeout(LOOK) {
            break finished;
        }
    };
    if ended.outcome != Outcome::Host {
        let message = format!(
            "the task ended after {} ms of CPU time, before it could be killed: give --kill-at less",
            ended.cpu_ms
        );
        return Err(usage("ended_before_kill", message));
    }
    let second = supervisor.run(task, 1.0).wait();
    let killed = Some(Killed { cpu_ms: ended.cpu_ms, resumed: second.resumed });
    Ok(Checked { first: first.digest, second: second.digest, ending: ending(&second), killed })
}

fn ending(finished: &Finished) -> String {
    format!("{} [{}]", finished.outcome.name(), finished.code)
}
