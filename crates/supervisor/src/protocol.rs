//! The frames that go to a worker and come from it, and the rules that a worker must keep: each frame at its time, each
//! size within its limit.
//!
//! Deliberately absent: the verdict, and threads. Reading and writing block; the caller has a thread for each, so that a
//! worker that is suspended, does not read, or never stops talking, holds up nobody else.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use surge_protocol::frame::{
    self, CHUNK, DataMount, FrameError, FromWorker, MAX_COMPILED, Program, Ready, Report, TaskStart, ToWorker,
};
use surge_protocol::task::Limits;
use thiserror::Error;

use crate::Task;
use crate::task::IMAGE_MARGIN;
use crate::worker_cache::Opening;

/// The first frame for a worker that runs `task`. What is known only when the worker has said its runtime class, or can only
/// be had from a disk, has its longest form here: the sizes, and whether the program is compiled already.
///
/// # Errors
/// When the arguments are too long for a frame.
pub(crate) fn task_start(task: &Task) -> Result<TaskStart, FrameError> {
    let data = task.data.iter().map(|(name, _)| DataMount { name: name.clone(), size: u64::MAX });
    let start = TaskStart {
        args: task.args.clone(),
        seed: task.seed,
        limits: task.limits,
        meter: task.meter,
        data: data.collect(),
        program: Program::Module { keep: true },
        program_size: u64::MAX,
        stdin_size: task.stdin.len() as u64,
        state_size: u64::MAX,
        checkpoint_every_ms: task
            .checkpoints
            .as_ref()
            .map(|kept| u64::try_from(kept.every.as_millis()).unwrap_or(u64::MAX)),
    };
    frame::write(&mut std::io::sink(), &ToWorker::Task(start.clone()))?;
    Ok(start)
}

/// Writes a task to a worker. An error means only that the worker reads no more: what it says decides how the task ends.
pub(crate) fn feed(opening: Opening, to: &mut impl Write) -> Result<(), FrameError> {
    let Opening { start, program, stdin, state } = opening;
    frame::write(to, &ToWorker::Task(start))?;
    feed_parts(&program, ToWorker::Program, to)?;
    feed_parts(&stdin, ToWorker::Stdin, to)?;
    feed_parts(&state, ToWorker::State, to)
}

fn feed_parts(whole: &[u8], part: impl Fn(Vec<u8>) -> ToWorker, to: &mut impl Write) -> Result<(), FrameError> {
    whole.chunks(CHUNK).try_for_each(|chunk| frame::write(to, &part(chunk.to_vec())))
}

/// All that a worker said, as far as it is kept in memory: [`Task::memory_bound`] counts it.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) ready: Option<Ready>,
    pub(crate) started_after: Option<Duration>,
    pub(crate) output: Vec<u8>,
    pub(crate) log: Vec<u8>,
    pub(crate) report: Option<Report>,
    /// Compiled code, or an image of `/state`, of which more is to come.
    part: Vec<u8>,
    /// Number of checkpoints so far.
    synced: u32,
}

/// What a worker was asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) code: bool,
    /// CPU time between two checkpoints, at least.
    pub(crate) checkpoint_every: Option<Duration>,
}

/// Gets what cannot wait until the worker has finished talking.
pub(crate) trait Audience {
    /// The worker is locked down and waits for its task. Returns what it is asked for.
    fn ready(&mut self, ready: &Ready) -> Result<Terms, Broken>;
    fn compiled(&mut self, code: &[u8]);
    fn log(&mut self, bytes: &[u8]);
    fn synced(&mut self, image: &[u8]);
    fn reported(&mut self);
    /// CPU time that the worker has used, by the kernel's account.
    fn cpu_time(&self) -> Duration;
}

/// Why a worker is not listened to any more.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Broken {
    #[error("{0}")]
    Rule(String),
    /// It is less locked down than its owner allows.
    #[error(
        "the worker could lock itself down by its system-call filter only, because this system has no landlock (Linux 5.13 \
         or newer, not switched off); a full lock-down is required"
    )]
    Lockdown,
    /// It is not of the version that was there when the supervisor started.
    #[error("Surge was updated while it ran: restart it ({0})")]
    Updated(String),
}

impl From<&str> for Broken {
    fn from(rule: &str) -> Self {
        Self::Rule(rule.to_owned())
    }
}

/// Reads frames until the worker closes its pipe. What cannot wait is handed to `audience` at once.
///
/// # Errors
/// How the worker broke the rules. What it said before is in `heard`.
pub(crate) fn listen(
    from: &mut impl Read,
    limits: &Limits,
    spawned: Instant,
    heard: &mut Heard,
    audience: &mut impl Audience,
) -> Result<(), Broken> {
    let mut terms = Terms { code: false, checkpoint_every: None };
    loop {
        let said = match frame::read(from) {
            Ok(said) => said,
            Err(FrameError::Closed) => return Ok(()),
            // It ended in the middle of a frame: the verdict says how.
            Err(FrameError::Io(_)) if heard.report.is_none() => return Ok(()),
            // The version of the first frame is the version of the program.
            Err(error @ FrameError::Version(_)) if heard.ready.is_none() => {
                return Err(Broken::Updated(error.to_string()));
            }
            Err(error) => return Err(Broken::Rule(error.to_string())),
        };
        if heard.report.is_some() {
            return Err("it went on after its report".into());
        }
        if heard.ready.is_some() == matches!(said, FromWorker::Ready(_)) {
            return Err("it was not ready exactly once, and first".into());
        }
        let started = heard.started_after.is_some();
        match said {
            FromWorker::Ready(ready) => {
                terms = audience.ready(&ready)?;
                heard.ready = Some(ready);
            }
            FromWorker::Compiled(_) if started || !terms.code => return Err("it sent code that nobody wants".into()),
            FromWorker::Compiled(bytes) => append(&mut heard.part, &bytes, MAX_COMPILED, "code")?,
            FromWorker::Started if started => return Err("it started twice".into()),
            FromWorker::Started => {
                heard.started_after = Some(spawned.elapsed());
                let code = std::mem::take(&mut heard.part);
                if !code.is_empty() {
                    audience.compiled(&code);
                }
            }
            FromWorker::Output(_) | FromWorker::State(_) | FromWorker::Synced if !started => {
                return Err("it spoke for a program that had not started".into());
            }
            FromWorker::Output(bytes) => append(&mut heard.output, &bytes, limits.output_bytes, "output")?,
            FromWorker::Log(bytes) => {
                append(&mut heard.log, &bytes, limits.log_bytes, "log")?;
                audience.log(&bytes);
            }
            FromWorker::State(bytes) => {
                let most = terms.checkpoint_every.map_or(0, |_| limits.files_bytes.saturating_add(IMAGE_MARGIN));
                append(&mut heard.part, &bytes, most, "state")?;
            }
            FromWorker::Synced => {
                let Some(every) = terms.checkpoint_every else { return Err("nobody keeps its checkpoints".into()) };
                heard.synced += 1;
                if every * heard.synced > audience.cpu_time() {
                    return Err("it makes checkpoints more often than agreed".into());
                }
                audience.synced(&std::mem::take(&mut heard.part));
            }
            FromWorker::Finished(report) => {
                heard.report = Some(report);
                audience.reported();
            }
        }
    }
}

fn append(all: &mut Vec<u8>, bytes: &[u8], limit: u64, what: &str) -> Result<(), Broken> {
    // An empty frame costs the worker nothing and us a wake-up: endless many of them would be a flood.
    if bytes.is_empty() {
        return Err(Broken::Rule(format!("it sent an empty {what} frame")));
    }
    let length = all.len() + bytes.len();
    if length as u64 > limit {
        return Err(Broken::Rule(format!("it sent more {what} than the {limit} bytes allowed")));
    }
    if length > all.capacity() {
        // In large steps, but never more than the limit, which is what a task is counted with.
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let capacity = all.capacity().saturating_mul(2).clamp(length, most);
        all.reserve_exact(capacity - all.len());
    }
    all.extend_from_slice(bytes);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_takes_no_more_memory_than_its_limit() {
        let mut all = Vec::new();
        for length in [1, 600, 398, 1] {
            append(&mut all, &vec![7; length], 1_000, "output").unwrap();
            assert!(all.capacity() <= 1_000, "{}", all.capacity());
        }
        assert!(append(&mut all, &[7], 1_000, "output").is_err());
        assert_eq!(all, [7; 1_000]);
    }
}
