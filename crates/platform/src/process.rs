//! A worker process: started with nothing but three pipes and the files passed to it, and held by a handle that
//! suspends, resumes, kills and measures exactly this process, never another one that got its number.
//!
//! Deliberately absent: any idea of what the process computes, and of when it should run. Every system has its own
//! file with the same names; this one holds what is said the same way everywhere.

#[cfg_attr(target_os = "linux", path = "process/linux.rs")]
#[expect(
    unsafe_code,
    reason = "fork, what must happen before exec, and the CPU clock of another process have no safe form"
)]
mod os;

use std::fs::File;
use std::io::{PipeReader, PipeWriter};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

pub use os::{Process, Said, Starting};

/// What to start.
#[derive(Debug, Clone, Copy)]
pub struct Program<'a> {
    /// Absolute.
    pub path: &'a Path,
    pub args: &'a [&'a str],
    /// The n-th file is open in the process as descriptor `3 + n`; the process has no other files.
    pub files: &'a [Arc<File>],
    pub priority: Priority,
}

/// What a process gets of the processor beside others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// What nobody else wants.
    Idle,
    /// What every program gets. For what somebody waits for: on a busy machine an idle process may get nothing for minutes.
    Usual,
}

/// A process that exists, and is on its way to become the program.
#[derive(Debug)]
pub struct Spawned {
    pub process: Process,
    pub pipes: Pipes,
    pub starting: Starting,
}

/// Our ends of the process's standard streams.
#[derive(Debug)]
pub struct Pipes {
    pub stdin: PipeWriter,
    /// Ends when the process has ended, even where a descendant keeps the pipe open.
    pub stdout: Said,
    /// Reading never blocks: what is not there yet is an error.
    pub stderr: PipeReader,
}

/// Why a process could not be started, or could not become the program.
#[derive(Debug, Error)]
#[error("{step}: {source}")]
pub struct SpawnError {
    /// What was being done, in the words of the system's manual.
    pub step: &'static str,
    pub source: std::io::Error,
}

/// What a process is doing at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// On a processor, or waiting for one, or for the disk.
    Running,
    /// Waiting for something that somebody else must do.
    Waiting,
    /// Suspended.
    Suspended,
    Gone,
}

/// What a process was allowed to compute in advance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// CPU time until it is told to stop.
    pub left: Duration,
    /// It had used up what it was allowed before, and was told so.
    pub ran_out: bool,
}

/// What happened to a process by another hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It was continued, by us or by somebody else.
    Resumed,
    /// It is gone, and every descendant in its group with it.
    Ended(Exit),
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Status(i32),
    /// Ended by this signal.
    Signal(i32),
}
