//! `surge-worker`: reads one task from standard input, runs it, reports on standard output, exits.
//!
//! It is started by Surge. What it may be asked: `--runtime-class` names what it computes with, `--lockdown` how far it can
//! lock itself down on this machine, and `--probe` shows what that refuses.

use std::io::ErrorKind;
use std::process::ExitCode;

use surge_protocol::frame::{Lockdown, NO_LOCKDOWN_STATUS};
use surge_runtime::{LockdownError, ServeError};

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        None => serve(),
        Some("--runtime-class") => {
            println!("{}", surge_runtime::runtime_class());
            ExitCode::SUCCESS
        }
        Some("--lockdown") => lock_down(),
        #[cfg(target_os = "linux")]
        Some("--probe") => probe(std::env::args().nth(2), std::env::args().nth(3)),
        Some(other) => {
            eprintln!("surge-worker is started by Surge and takes no option {other}: use `surge task run MODULE.wasm`");
            ExitCode::from(2)
        }
    }
}

/// Says the level reached, and on the next line why no more.
fn lock_down() -> ExitCode {
    match surge_runtime::lock_down() {
        Ok(walls) => {
            let level = match walls.level {
                Lockdown::Full => "full",
                Lockdown::SeccompOnly => "seccomp-only",
            };
            println!("{level}\n{}", walls.missing);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            status(&error)
        }
    }
}

/// Leaves with 0 where the escape got through, with 1 where it was refused, saying by what.
#[cfg(target_os = "linux")]
fn probe(name: Option<String>, wall: Option<String>) -> ExitCode {
    let (Some(name), Some(wall)) = (name, wall.map(|wall| wall.parse::<surge_runtime::Wall>())) else {
        surge_runtime::probes().for_each(|name| println!("{name}"));
        return ExitCode::from(2);
    };
    match wall.map_err(|error| error.to_string()).map(|wall| surge_runtime::probe(&name, wall)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(refused)) => {
            println!("{refused}");
            ExitCode::FAILURE
        }
        Err(unknown) => {
            eprintln!("{unknown}");
            ExitCode::from(2)
        }
    }
}

fn serve() -> ExitCode {
    let stdout = match surge_runtime::stdout() {
        Ok(stdout) => stdout,
        Err(error) => {
            eprintln!("no standard output: {error}");
            return ExitCode::FAILURE;
        }
    };
    let Err(error) = surge_runtime::serve(std::io::stdin(), stdout) else { return ExitCode::SUCCESS };
    eprintln!("{error}");
    match &error {
        ServeError::Lockdown(error) => status(error),
        _ => ExitCode::FAILURE,
    }
}

/// A machine that is short of memory may have a thread the next time; what refuses the lock-down will refuse it again.
fn status(error: &LockdownError) -> ExitCode {
    match error {
        LockdownError::Refused(error) if error.kind() != ErrorKind::OutOfMemory => ExitCode::from(NO_LOCKDOWN_STATUS),
        _ => ExitCode::FAILURE,
    }
}
