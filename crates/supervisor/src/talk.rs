//! The conversation with one worker: what it is told, and what it is heard to say, every word of it capped.
//!
//! Deliberately absent: what to make of it. Each side of the conversation blocks a thread of its own, so that a worker
//! that is suspended, or does not read, or does not stop talking, holds up nobody else.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use surge_protocol::frame::{self, CHUNK, DataMount, FrameError, FromWorker, Report, TaskStart, ToWorker};
use surge_protocol::task::Limits;

use crate::Task;

/// The first thing that a worker is told.
///
/// # Errors
/// When the arguments are too long for a frame.
pub(crate) fn opening(task: &Task) -> Result<Vec<u8>, FrameError> {
    let data = task.data.iter().map(|(name, file)| {
        let size = file.metadata().map_or(0, |metadata| metadata.len());
        DataMount { name: name.clone(), size }
    });
    let start = TaskStart {
        args: task.args.clone(),
        seed: task.seed,
        limits: task.limits,
        meter: task.meter,
        data: data.collect(),
        module_size: task.module.len() as u64,
        stdin_size: task.stdin.len() as u64,
    };
    let mut bytes = Vec::new();
    frame::write(&mut bytes, &ToWorker::Task(start))?;
    Ok(bytes)
}

/// Tells the worker its task. A worker that does not want to hear it all may close the pipe: what it says decides.
pub(crate) fn feed(opening: &[u8], task: &Task, to: &mut impl Write) -> Result<(), FrameError> {
    to.write_all(opening)?;
    for chunk in task.module.chunks(CHUNK) {
        frame::write(to, &ToWorker::Module(chunk.to_vec()))?;
    }
    for chunk in task.stdin.chunks(CHUNK) {
        frame::write(to, &ToWorker::Stdin(chunk.to_vec()))?;
    }
    Ok(())
}

/// All that a worker said.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) started_after: Option<Duration>,
    pub(crate) output: Vec<u8>,
    pub(crate) log: Vec<u8>,
    pub(crate) report: Option<Report>,
}

/// What cannot wait until the worker has finished talking.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Live<'a> {
    Log(&'a [u8]),
    /// Its report is there.
    Report,
}

/// Listens until the worker has nothing more to say. What cannot wait is handed to `live` at once.
///
/// # Errors
/// How the worker broke the rules. What it said before is in `heard`.
pub(crate) fn listen(
    from: &mut impl Read,
    limits: &Limits,
    spawned: Instant,
    heard: &mut Heard,
    mut live: impl FnMut(Live<'_>),
) -> Result<(), String> {
    loop {
        match frame::read(from) {
            Ok(_) if heard.report.is_some() => return Err("it went on after its report".into()),
            Ok(FromWorker::Started) if heard.started_after.is_some() => return Err("it started twice".into()),
            Ok(FromWorker::Started) => heard.started_after = Some(spawned.elapsed()),
            Ok(FromWorker::Output(_)) if heard.started_after.is_none() => {
                return Err("it sent output of a program that had not started".into());
            }
            Ok(FromWorker::Output(bytes)) => append(&mut heard.output, &bytes, limits.output_bytes, "output")?,
            Ok(FromWorker::Log(bytes)) => {
                append(&mut heard.log, &bytes, limits.log_bytes, "log")?;
                live(Live::Log(&bytes));
            }
            Ok(FromWorker::Finished(report)) => {
                heard.report = Some(report);
                live(Live::Report);
            }
            Err(FrameError::Closed) => return Ok(()),
            // It ended in the middle of a word: how it ended says more than that.
            Err(FrameError::Io(_)) if heard.report.is_none() => return Ok(()),
            Err(error) => return Err(error.to_string()),
        }
    }
}

fn append(all: &mut Vec<u8>, bytes: &[u8], limit: u64, what: &str) -> Result<(), String> {
    // An empty frame costs the worker nothing and us a wake-up: endless many of them would be a flood.
    if bytes.is_empty() {
        return Err(format!("it sent an empty {what} frame"));
    }
    if (all.len() + bytes.len()) as u64 > limit {
        return Err(format!("it sent more {what} than the {limit} bytes that the task allows"));
    }
    all.extend_from_slice(bytes);
    Ok(())
}
