//! The worker program: where it is, and which engine, settings and instruction set it computes with.
//!
//! Deliberately absent: running tasks in it. A question to it is a process of its own.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use surge_platform::process::{Event, Exit, Pipes, Priority, Process, Program, SpawnError, Spawned, Starting};
use thiserror::Error;

use crate::verdict::class_is_plain;

/// A healthy worker answers in milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of an answer that are read.
const LONGEST: u64 = 1_000;

/// No worker program is where it should be.
#[derive(Debug, Error)]
#[error("the worker program is not at {}: install Surge again, or set SURGE_WORKER to its path", .0.display())]
pub struct NoWorker(pub PathBuf);

/// The worker program: `$SURGE_WORKER`, else `surge-worker` beside the running program.
///
/// # Errors
/// When there is no file.
pub fn find_worker() -> Result<PathBuf, NoWorker> {
    let name = format!("surge-worker{}", std::env::consts::EXE_SUFFIX);
    let path = match std::env::var_os("SURGE_WORKER") {
        Some(path) => PathBuf::from(path),
        None => {
            std::env::current_exe().map_or_else(|_: io::Error| PathBuf::from(&name), |own| own.with_file_name(&name))
        }
    };
    if path.is_file() { Ok(path) } else { Err(NoWorker(path)) }
}

/// Why a worker program could not say its runtime class.
#[derive(Debug, Error)]
pub enum ClassError {
    #[error("the worker {path} could not be started: {source}")]
    Spawn { path: String, source: SpawnError },
    #[error(
        "{0} is not a worker: asked for its runtime class, it gave no answer that makes sense. Is it of this version?"
    )]
    NotAWorker(String),
}

/// The runtime class of the worker at `path`: only results of one class are compared.
///
/// # Errors
/// When there is no worker at `path`, or it does not answer.
pub fn runtime_class(path: &Path) -> Result<String, ClassError> {
    let shown = path.display().to_string();
    let answer = ask(path, "--runtime-class").map_err(|source| ClassError::Spawn { path: shown.clone(), source })?;
    let class = answer.said.trim();
    if answer.exit == Exit::Status(0) && class_is_plain(class) {
        Ok(class.to_owned())
    } else {
        Err(ClassError::NotAWorker(shown))
    }
}

/// What a worker program says to a question on its command line.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) exit: Exit,
    /// The beginning of its standard output. Foreign bytes.
    pub(crate) said: String,
    /// The beginning of its standard error. Foreign bytes.
    pub(crate) complained: String,
}

/// Runs the worker at `path` with `question` as its only argument, for ten seconds at most.
///
/// # Errors
/// When it can't be started.
pub(crate) fn ask(path: &Path, question: &str) -> Result<Answer, SpawnError> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    // Somebody waits for the answer, and it costs milliseconds.
    let program = Program { path: &path, args: &[question], files: &[], priority: Priority::Usual };
    let Spawned { process, pipes, starting } = Process::spawn(program)?;
    let process = Arc::new(process);
    let (send, answer) = mpsc::channel();
    let asked = Arc::clone(&process);
    // Ends when the process is gone, whether or not anybody waits for the answer then.
    thread::spawn(move || send.send(hear(&asked, pipes, starting)));
    answer.recv_timeout(PATIENCE).unwrap_or_else(|_| {
        process.kill();
        Ok(Answer { exit: Exit::Signal(9), said: String::new(), complained: "it did not answer".into() })
    })
}

fn hear(process: &Process, pipes: Pipes, starting: Starting) -> Result<Answer, SpawnError> {
    let started = starting.wait();
    let said = beginning(pipes.stdout);
    // A worker that says more than fits would wait for a reader.
    let exit = end(process);
    let complained = beginning(pipes.stderr);
    started.map(|()| Answer { exit, said, complained })
}

fn beginning(from: impl Read) -> String {
    let mut bytes = Vec::new();
    // What was read before an error counts.
    let _ = from.take(LONGEST).read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn end(process: &Process) -> Exit {
    loop {
        match process.next_event() {
            Ok(Event::Resumed) => {}
            Ok(Event::Ended(exit)) => return exit,
            Err(_) => return Exit::Signal(0),
        }
    }
}
