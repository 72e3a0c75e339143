//! What goes into a worker and what comes out.

use std::fmt;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use surge_platform::process::SpawnError;
use surge_protocol::frame::MAX_COMPILED;
use surge_protocol::outcome::result_digest;
use surge_protocol::task::{Limits, Meter};
use surge_protocol::{Code, Digest, Outcome};

use crate::Checkpoints;

/// What an image of `/state` may take besides the bytes that its files may have.
pub(crate) const IMAGE_MARGIN: u64 = 64 << 10;

/// One task with everything that it needs, already verified against its digests by the caller.
#[derive(Clone)]
pub struct Task {
    /// The program's arguments, without its name.
    pub args: Vec<String>,
    pub module: Arc<[u8]>,
    pub stdin: Arc<[u8]>,
    /// Data sets: the name below `/data`, and a file that is open for reading. The worker inherits the descriptor.
    pub data: Vec<(String, Arc<File>)>,
    pub limits: Limits,
    pub meter: Meter,
    pub seed: u64,
    /// Where the checkpoints are kept that it makes by syncing files in `/state`. It goes on from the newest of them. They are
    /// removed when its result is stored ([`crate::Supervisor::run_then`]), or its ending is known.
    pub checkpoints: Option<Checkpoints>,
}

impl Task {
    /// `module` without input, with the default limits, at full speed.
    #[must_use]
    pub fn new(module: impl Into<Arc<[u8]>>) -> Self {
        Self {
            args: Vec::new(),
            module: module.into(),
            stdin: Arc::from([]),
            data: Vec::new(),
            limits: Limits::default(),
            meter: Meter::None,
            seed: 0,
            checkpoints: None,
        }
    }

    /// The most memory, in bytes, that this task can take on this machine while it runs, in two processes. In the worker:
    /// linear memory, files in `/tmp` and `/state`, module, input, compiled code, and an image of `/state` on its way. In
    /// the supervisor: output, log, module, input, compiled code, and one such image.
    ///
    /// The most, not the usual: few tasks come near their limits. Not counted are what every worker takes, some 20 MiB, and
    /// what compiling a module takes for a moment.
    #[must_use]
    pub fn memory_bound(&self) -> u64 {
        let Limits { memory_bytes, output_bytes, log_bytes, files_bytes, .. } = self.limits;
        let image = if self.checkpoints.is_some() { files_bytes.saturating_add(IMAGE_MARGIN) } else { 0 };
        let in_both = [self.module.len() as u64, self.stdin.len() as u64, MAX_COMPILED, image];
        let worker = [memory_bytes, files_bytes].into_iter().chain(in_both);
        let supervisor = [output_bytes, log_bytes].into_iter().chain(in_both);
        worker.chain(supervisor).fold(0, u64::saturating_add)
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("args", &self.args)
            .field("module_bytes", &self.module.len())
            .field("stdin_bytes", &self.stdin.len())
            .field("data", &self.data.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .field("limits", &self.limits)
            .field("meter", &self.meter)
            .field("seed", &self.seed)
            .field("checkpoints", &self.checkpoints)
            .finish()
    }
}

/// How a task ended. Whether it may vote is [`Outcome::votes`]. The codes are in `docs/outcomes.md`.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    pub outcome: Outcome,
    pub code: Code,
    /// A sentence for people; not part of the result. Free of control characters.
    pub detail: String,
    /// Over outcome, code and output, computed here from the bytes that arrived.
    pub digest: Digest,
    /// Standard output, at most the task's limit.
    pub output: Vec<u8>,
    /// Standard error, at most the task's limit. Raw: a program may have written terminal control sequences.
    pub log: Vec<u8>,
    /// Operators executed under `Meter::Fuel`, else 0. By the worker's word.
    pub fuel: u64,
    /// CPU time of the whole process, milliseconds, by the kernel's account.
    pub cpu_ms: u64,
    /// From spawn to the end, milliseconds, time spent suspended included.
    pub wall_ms: u64,
    /// Largest size of the linear memory, bytes. By the worker's word, at most the limit.
    pub peak_memory_bytes: u64,
    pub output_bytes: u64,
    /// It went on from a checkpoint.
    pub resumed: bool,
    /// Which engine, settings and instruction set computed this; empty when the worker did not say.
    pub runtime_class: String,
    /// From spawn to the program's first instruction; zero when it never got there.
    pub started_after: Duration,
}

impl Finished {
    /// The ending that is told where nothing else can be told any more.
    pub(crate) fn stopped() -> Self {
        Self::unrun(Outcome::Host, "killed", "the engine stopped before the task ended")
    }

    /// The ending of a task whose worker program could not be started.
    pub(crate) fn unstarted(worker: &Path, error: &SpawnError) -> Self {
        Self::unrun(Outcome::Host, "spawn", format!("the worker {} could not be started: {error}", worker.display()))
    }

    /// The ending of a task that never ran, or of which nothing is known.
    pub(crate) fn unrun(outcome: Outcome, code: &str, detail: impl Into<String>) -> Self {
        let code = Code::word(code);
        Self {
            outcome,
            digest: result_digest(outcome, &code, &[]),
            code,
            detail: detail.into(),
            output: Vec::new(),
            log: Vec::new(),
            fuel: 0,
            cpu_ms: 0,
            wall_ms: 0,
            peak_memory_bytes: 0,
            output_bytes: 0,
            resumed: false,
            runtime_class: String::new(),
            started_after: Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_bound_counts_both_processes_and_never_overflows() {
        let limits = Limits { memory_bytes: 1_000, cpu_ms: 1, output_bytes: 200, log_bytes: 30, files_bytes: 4 };
        let task = Task { stdin: Arc::from([0; 7]), limits, ..Task::new([0; 5]) };
        let given = 7 + 5 + MAX_COMPILED;
        assert_eq!(task.memory_bound(), (1_000 + 4 + given) + (200 + 30 + given));
        let every = Duration::from_secs(10);
        let checkpoints = Some(Checkpoints { folder: "/nowhere".into(), task: Digest([0; 32]), every });
        let most = Limits { memory_bytes: 1_000, cpu_ms: 1, output_bytes: 200, log_bytes: 30, files_bytes: 1 << 30 };
        let image = (1 << 30) + IMAGE_MARGIN;
        let kept = Task { checkpoints, limits: most, ..task };
        assert_eq!(kept.memory_bound(), (1_000 + (1 << 30) + given + image) + (200 + 30 + given + image));
        let endless = Limits { memory_bytes: u64::MAX, ..most };
        assert_eq!(Task { limits: endless, ..kept }.memory_bound(), u64::MAX);
    }
}
