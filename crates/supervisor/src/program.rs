//! The worker program: where it is, and which engine, settings and instruction set it computes with.
//!
//! Deliberately absent: running tasks in it.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use surge_platform::process::{Event, Exit, Process, Program, SpawnError};
use thiserror::Error;

use crate::verdict::class_is_plain;

/// A healthy worker answers in milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);
const LONGEST: u64 = 200;

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
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let shown = path.display().to_string();
    let program = Program { path: &path, args: &["--runtime-class"], files: &[] };
    let (process, pipes) =
        Process::spawn(program).map_err(|source| ClassError::Spawn { path: shown.clone(), source })?;
    let process = Arc::new(process);
    let (send, answer) = mpsc::channel();
    let asked = Arc::clone(&process);
    thread::spawn(move || send.send((read_answer(pipes.stdout), wait(&asked))));
    let (text, exit) = answer.recv_timeout(PATIENCE).unwrap_or_else(|_| {
        process.kill();
        (String::new(), Exit::Signal(9))
    });
    let class = text.trim();
    if exit == Exit::Status(0) && class_is_plain(class) {
        Ok(class.to_owned())
    } else {
        Err(ClassError::NotAWorker(shown))
    }
}

fn read_answer(from: impl Read) -> String {
    let mut text = String::new();
    // Unreadable is as good as empty.
    let _ = from.take(LONGEST).read_to_string(&mut text);
    text
}

fn wait(process: &Process) -> Exit {
    loop {
        match process.next_event() {
            Ok(Event::Resumed) => {}
            Ok(Event::Ended(exit)) => return exit,
            Err(_) => return Exit::Signal(0),
        }
    }
}
