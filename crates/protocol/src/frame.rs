//! What the supervisor and a worker say to each other: `u32` little-endian length, version byte, postcard.
//!
//! Both sides treat the other as broken until proven otherwise: a frame that is too long, of another version or not
//! decodable ends the conversation.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use thiserror::Error;

use crate::task::{Limits, Meter};
use crate::{Code, Outcome};

/// Raised with every change to a frame. A worker of another version does not run the task.
pub const VERSION: u8 = 2;
/// The largest frame, bytes after the length word. Longer payloads travel as several frames.
pub const MAX_FRAME: usize = 1 << 20;
/// The largest chunk of payload that senders put into one frame, bytes.
pub const CHUNK: usize = 256 << 10;
/// The largest compiled code that a worker sends, bytes. Larger code is compiled anew each time.
pub const MAX_COMPILED: u64 = 64 << 20;
/// Descriptor number of the first data set in the worker.
pub const FIRST_DATA_FD: i32 = 3;

/// Exit status of a worker that could not lock itself down at all, and has not said `Ready`. Why is on its standard error.
pub const NO_LOCKDOWN_STATUS: u8 = 3;

/// Supervisor to worker, after its `Ready`: one `Task`, then chunks of `Program`, `Stdin` and `State`, in this order, until
/// their announced sizes are reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToWorker {
    Task(TaskStart),
    Program(Vec<u8>),
    Stdin(Vec<u8>),
    State(Vec<u8>),
}

/// What the worker must know before the first byte of the module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskStart {
    pub args: Vec<String>,
    pub seed: u64,
    pub limits: Limits,
    pub meter: Meter,
    /// Data sets in descriptor order: the n-th is open for reading as descriptor `FIRST_DATA_FD + n`.
    pub data: Vec<DataMount>,
    pub program: Program,
    /// Bytes of program, standard input and the image of `/state` that follow. No image is 0 bytes long.
    pub program_size: u64,
    pub stdin_size: u64,
    pub state_size: u64,
    /// CPU time between two checkpoints, at least, milliseconds; `None` where nobody keeps them.
    pub checkpoint_every_ms: Option<u64>,
}

/// What is sent as the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Program {
    /// A WASM module, to be checked and compiled; `keep` asks for the compiled code.
    Module { keep: bool },
    /// What a worker of the same runtime class said under `Compiled`, for the same module and kind of meter.
    Compiled,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataMount {
    pub name: String,
    /// Size in bytes.
    pub size: u64,
}

/// How far a worker could lock itself down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Lockdown {
    /// This kernel has no landlock: the filter over system calls stands alone.
    SeccompOnly,
    /// Both walls stand.
    Full,
}

/// Worker to supervisor: `Ready` first; `Compiled` before `Started`, if asked for; `Started` once; output, log and
/// checkpoints as they come; `Finished` last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromWorker {
    /// It is locked down and has read nothing yet.
    Ready(Ready),
    /// A chunk of the compiled code.
    Compiled(Vec<u8>),
    /// The module is compiled; the next thing to happen is its first instruction.
    Started,
    Output(Vec<u8>),
    Log(Vec<u8>),
    /// A chunk of the image of `/state`.
    State(Vec<u8>),
    /// The chunks since the last `Synced` are the whole image at one instant.
    Synced,
    Finished(Report),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// Which engine, settings and instruction set this worker computes with.
    pub runtime_class: String,
    pub lockdown: Lockdown,
}

/// How the task ended, by the worker's word. The supervisor checks what it can and replaces what it must.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub outcome: Outcome,
    pub code: ReportCode,
    /// A sentence for the job's author; not part of the result.
    pub detail: String,
    /// Operators executed under `Meter::Fuel`, else 0.
    pub fuel: u64,
    /// Largest size of the linear memory, bytes.
    pub peak_memory_bytes: u64,
    /// Bytes of standard output that the program wrote and the worker sent.
    pub output_bytes: u64,
}

/// [`Code`] in a form that postcard can carry (untagged enums need a self-describing format).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReportCode {
    Status(u32),
    Word(String),
}

impl From<ReportCode> for Code {
    fn from(code: ReportCode) -> Self {
        match code {
            ReportCode::Status(status) => Self::Status(status),
            ReportCode::Word(word) => Self::Word(word),
        }
    }
}

impl From<Code> for ReportCode {
    fn from(code: Code) -> Self {
        match code {
            Code::Status(status) => Self::Status(status),
            Code::Word(word) => Self::Word(word),
        }
    }
}

/// Why a conversation ended.
#[derive(Debug, Error)]
pub enum FrameError {
    #[error("the other side closed the pipe")]
    Closed,
    #[error("a frame of {0} bytes is outside 1..={MAX_FRAME}")]
    Length(usize),
    #[error("frame version {0}, expected {VERSION}")]
    Version(u8),
    #[error("the frame could not be decoded")]
    Malformed(#[source] postcard::Error),
    #[error("the pipe failed")]
    Io(#[from] io::Error),
}

/// Writes one frame.
///
/// # Errors
/// The pipe's errors, and `Length` for a frame above [`MAX_FRAME`].
pub fn write<T: Serialize>(to: &mut impl Write, frame: &T) -> Result<(), FrameError> {
    let mut bytes = vec![0; 4];
    bytes.push(VERSION);
    let mut bytes = postcard::to_extend(frame, bytes).map_err(FrameError::Malformed)?;
    let length = bytes.len() - 4;
    let word = u32::try_from(length).ok().filter(|_| length <= MAX_FRAME).ok_or(FrameError::Length(length))?;
    bytes[..4].copy_from_slice(&word.to_le_bytes());
    to.write_all(&bytes)?;
    Ok(())
}

/// Reads one frame; `Closed` when the pipe ends before its first byte.
///
/// # Errors
/// Every way in which the other side can be wrong, see [`FrameError`].
pub fn read<T: DeserializeOwned>(from: &mut impl Read) -> Result<T, FrameError> {
    let mut word = [0; 4];
    from.read_exact(&mut word).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => FrameError::Closed,
        _ => FrameError::Io(error),
    })?;
    let length = u32::from_le_bytes(word) as usize;
    if !(1..=MAX_FRAME).contains(&length) {
        return Err(FrameError::Length(length));
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes)?;
    if bytes[0] != VERSION {
        return Err(FrameError::Version(bytes[0]));
    }
    match postcard::take_from_bytes(&bytes[1..]) {
        Ok((frame, [])) => Ok(frame),
        Ok(_) => Err(FrameError::Malformed(postcard::Error::DeserializeBadEncoding)),
        Err(error) => Err(FrameError::Malformed(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn frames_survive_the_trip(payload in prop::collection::vec(any::<u8>(), 0..2_000)) {
            let mut pipe = Vec::new();
            write(&mut pipe, &FromWorker::Output(payload.clone())).unwrap();
            write(&mut pipe, &FromWorker::Started).unwrap();
            let mut pipe = pipe.as_slice();
            prop_assert_eq!(read::<FromWorker>(&mut pipe).unwrap(), FromWorker::Output(payload));
            prop_assert_eq!(read::<FromWorker>(&mut pipe).unwrap(), FromWorker::Started);
            prop_assert!(matches!(read::<FromWorker>(&mut pipe), Err(FrameError::Closed)));
        }

        #[test]
        fn foreign_bytes_never_panic_or_allocate_beyond_the_cap(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read::<FromWorker>(&mut bytes.as_slice());
        }
    }

    #[test]
    fn wrong_lengths_and_versions_are_named() {
        let read = |bytes: &[u8]| read::<FromWorker>(&mut &*bytes).unwrap_err();
        assert!(matches!(read(&[0, 0, 0, 0]), FrameError::Length(0)));
        assert!(matches!(read(&[255, 255, 255, 255]), FrameError::Length(_)));
        assert!(matches!(read(&[2, 0, 0, 0, VERSION + 1, 0]), FrameError::Version(_)));
        assert!(matches!(read(&[3, 0, 0, 0, VERSION, 0, 9]), FrameError::Malformed(_)));
    }
}
