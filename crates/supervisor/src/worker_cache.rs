//! What one worker leaves to the next: the module's compiled code, and the task's checkpoints.
//!
//! Deliberately absent: errors. A task without either of them runs as well, and only takes longer.

use std::sync::Arc;

use surge_protocol::frame::{Program, TaskStart};
use surge_protocol::{Code, Digest, Outcome};

use crate::checkpoint::Generations;
use crate::code::{CodeCache, CodeName};
use crate::{Finished, Task};

/// What is cached for the task of one worker.
#[derive(Debug)]
pub(crate) struct WorkerCache {
    code: Option<(Arc<CodeCache>, CodeName)>,
    code_found: bool,
    checkpoints: Option<Generations>,
    resumed: bool,
}

/// All that a worker is told.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) start: TaskStart,
    pub(crate) program: Arc<[u8]>,
    pub(crate) stdin: Arc<[u8]>,
    pub(crate) state: Vec<u8>,
}

impl WorkerCache {
    /// Looks up what there is for `task` in a worker of `runtime_class`, and completes `start` by it.
    pub(crate) fn look_up(
        cache: Option<&Arc<CodeCache>>,
        task: &Task,
        runtime_class: &str,
        mut start: TaskStart,
    ) -> (Self, Opening) {
        let name = |cache: &Arc<CodeCache>| {
            (Arc::clone(cache), CodeName::new(&Digest::of(&task.module), runtime_class, task.meter))
        };
        let code = cache.map(name);
        let found = code.as_ref().and_then(|(cache, name)| cache.load(name));
        let opened = task.checkpoints.as_ref().map(|kept| Generations::open(kept, runtime_class));
        let (checkpoints, state) = opened.unzip();
        let state = state.flatten().unwrap_or_default();
        let cached = Self { code_found: found.is_some(), resumed: !state.is_empty(), code, checkpoints };
        start.program = match found {
            Some(_) => Program::Compiled,
            None => Program::Module { keep: cached.code.is_some() },
        };
        for (mount, (_, file)) in start.data.iter_mut().zip(&task.data) {
            mount.size = file.metadata().map_or(0, |metadata| metadata.len());
        }
        let program = found.map_or_else(|| Arc::clone(&task.module), Arc::from);
        start.program_size = program.len() as u64;
        start.state_size = state.len() as u64;
        (cached, Opening { start, program, stdin: Arc::clone(&task.stdin), state })
    }

    pub(crate) const fn resumed(&self) -> bool {
        self.resumed
    }

    /// The worker compiled the module.
    pub(crate) fn compiled(&self, code: &[u8]) {
        if let Some((cache, name)) = &self.code {
            cache.store(name, code);
        }
    }

    /// The program synced.
    pub(crate) fn synced(&mut self, image: &[u8]) {
        if let Some(checkpoints) = &mut self.checkpoints
            && let Err(error) = checkpoints.store(image)
        {
            tracing::warn!(%error, "a checkpoint could not be kept: the task goes on, and would begin again from an older one");
        }
    }

    /// The task has ended. Forgets code with which no worker could start, and returns the checkpoints that nobody needs once
    /// the result is stored.
    pub(crate) fn ended(self, finished: &Finished) -> Option<Generations> {
        let host_failed = finished.outcome == Outcome::Host;
        let unusable = finished.code == Code::word("checkpoint");
        // A worker that is given code differs from one that compiles in nothing but this code.
        if let Some((cache, name)) = &self.code
            && self.code_found
            && host_failed
            && finished.started_after.is_zero()
        {
            cache.forget(name);
        }
        self.checkpoints.filter(|_| !host_failed || unusable)
    }
}
