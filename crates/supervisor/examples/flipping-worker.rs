//! A worker on broken hardware: the real `surge-worker`, behind a filter that flips one bit in every chunk of
//! its output.
//!
//! The demo gives it to its third contributor, whose engine, signatures and payout account are as honest as any
//! other's. This process becomes the real worker, so that whoever suspends or kills it meets the real one; the filter
//! ends when the worker's pipe does.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use surge_protocol::frame::{self, FrameError, FromWorker};

const FILTER: &str = "--filter";

fn main() -> io::Result<()> {
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    if args.iter().any(|arg| arg == FILTER) {
        return filter();
    }
    let myself = std::env::current_exe()?;
    // Cargo puts examples one folder below the programs.
    let built = myself.parent().and_then(Path::parent).ok_or_else(|| io::Error::other("no folder above examples/"))?;
    let mut worker = Command::new(built.join("surge-worker"));
    if args.is_empty() {
        let (from_worker, to_filter) = io::pipe()?;
        Command::new(&myself).arg(FILTER).stdin(from_worker).stdout(Stdio::inherit()).spawn()?;
        worker.stdout(to_filter);
    }
    // With arguments it is a question about the worker, not a task: the real one answers it.
    Err(worker.args(args).exec())
}

fn filter() -> io::Result<()> {
    // It has inherited what the worker may compute in advance, which nobody renews for it.
    let maximum = getrlimit(Resource::Cpu).maximum;
    setrlimit(Resource::Cpu, Rlimit { current: maximum, maximum })?;
    let (mut from, mut to) = (io::stdin().lock(), io::stdout().lock());
    loop {
        match frame::read::<FromWorker>(&mut from) {
            Ok(said) => frame::write(&mut to, &flipped(said)).map_err(io::Error::other)?,
            Err(FrameError::Closed) => return Ok(()),
            Err(error) => return Err(io::Error::other(error)),
        }
        to.flush()?;
    }
}

fn flipped(said: FromWorker) -> FromWorker {
    match said {
        FromWorker::Output(mut bytes) => {
            if let Some(first) = bytes.first_mut() {
                *first ^= 1;
            }
            FromWorker::Output(bytes)
        }
        other => other,
    }
}
