//! One conversation with the supervisor: lock down, say so, hear the task, run it, report.
//!
//! Deliberately absent: a second task. The process ends with its first.

use std::io::{Read, Write};

use surge_protocol::frame::{self, FrameError, FromWorker, Program, Ready, Report, TaskStart, ToWorker};
use thiserror::Error;

use crate::ending::Ending;
use crate::engine::{THREAD_STACK, runtime_class};
use crate::lockdown::LockdownError;
use crate::run::{self, Spent, Work};
use crate::speaker::Speaker;
use crate::{check, inherited, lockdown};

/// The largest standard input, bytes: as large as the largest blob.
const STDIN_BYTES: u64 = surge_protocol::api::MAX_BLOB;
/// The largest image of `/state`, bytes: no task may have so many files.
const STATE_BYTES: u64 = surge_protocol::api::MAX_BLOB;

/// Why there was nobody to report to.
#[derive(Debug, Error)]
pub enum ServeError {
    #[error("the task could not be read: {0}")]
    Heard(FrameError),
    #[error("expected {0} from the supervisor")]
    Order(&'static str),
    #[error("the report could not be written: {0}")]
    Said(FrameError),
    #[error(transparent)]
    Lockdown(#[from] LockdownError),
}

/// Locks this process down for good, hears one task from `from`, runs it, and reports on `to`.
///
/// # Errors
/// When there is no lock-down, the supervisor can't be understood, or does not listen. Everything else is in the report.
pub fn serve(from: impl Read + Send, to: impl Write + Send + 'static) -> Result<(), ServeError> {
    // A thread of its own, because the program's stack is part of what a task may rely on.
    lockdown::locked(THREAD_STACK, |walls| {
        converse(Ready { runtime_class: runtime_class(), lockdown: walls.level }, from, to)
    })?
}

fn converse(ready: Ready, mut from: impl Read, mut to: impl Write + Send + 'static) -> Result<(), ServeError> {
    frame::write(&mut to, &FromWorker::Ready(ready)).map_err(ServeError::Said)?;
    let ToWorker::Task(start) = frame::read(&mut from).map_err(ServeError::Heard)? else {
        return Err(ServeError::Order("a task"));
    };
    let mut speaker = Speaker::new(to, &start.limits);
    let work = match hear(start, &mut from)? {
        Ok(work) => work,
        Err(refused) => return report(&mut speaker, refused, Spent::default()),
    };
    let (ending, spent, mut speaker) = run::run(work, speaker);
    report(&mut speaker, ending, spent)
}

/// Reads what the task announces. Sizes are refused before a byte of them is kept.
pub(crate) fn hear(start: TaskStart, from: &mut impl Read) -> Result<Result<Work, Ending>, ServeError> {
    let program = match start.program {
        Program::Module { .. } => ("module bytes", start.program_size, check::MODULE_BYTES),
        Program::Compiled => ("bytes of compiled code", start.program_size, frame::MAX_COMPILED),
    };
    let fits =
        [program, ("input bytes", start.stdin_size, STDIN_BYTES), ("bytes of state", start.state_size, STATE_BYTES)];
    for (rule, size, bound) in fits {
        if size > bound {
            return Ok(Err(Ending::too_large(rule, size, bound)));
        }
    }
    let data = match inherited::take(&start.data) {
        Ok(data) => data,
        Err(ending) => return Ok(Err(ending)),
    };
    let program = gather(start.program_size, from, |frame| match frame {
        ToWorker::Program(bytes) => Ok(bytes),
        _ => Err(ServeError::Order("the program")),
    })?;
    let stdin = gather(start.stdin_size, from, |frame| match frame {
        ToWorker::Stdin(bytes) => Ok(bytes),
        _ => Err(ServeError::Order("the input")),
    })?;
    let state = gather(start.state_size, from, |frame| match frame {
        ToWorker::State(bytes) => Ok(bytes),
        _ => Err(ServeError::Order("the state")),
    })?;
    Ok(Ok(Work { start, program, stdin, state, data }))
}

fn gather(
    size: u64,
    from: &mut impl Read,
    expect: impl Fn(ToWorker) -> Result<Vec<u8>, ServeError>,
) -> Result<Vec<u8>, ServeError> {
    // Refused before if it is more than a task may have.
    let mut all = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
    while (all.len() as u64) < size {
        let bytes = expect(frame::read(from).map_err(ServeError::Heard)?)?;
        if bytes.is_empty() || (all.len() + bytes.len()) as u64 > size {
            return Err(ServeError::Order("as many bytes as announced"));
        }
        all.extend_from_slice(&bytes);
    }
    Ok(all)
}

fn report(speaker: &mut Speaker, ending: Ending, spent: Spent) -> Result<(), ServeError> {
    let mut detail = ending.detail;
    // A frame has a bound, and a name in a module may be long.
    detail.truncate(detail.floor_char_boundary(2_000));
    let report = Report {
        outcome: ending.outcome,
        code: ending.code,
        detail,
        fuel: spent.fuel,
        peak_memory_bytes: spent.peak_memory_bytes,
        output_bytes: speaker.written(),
    };
    speaker.say(&FromWorker::Finished(report)).map_err(ServeError::Said)
}
