//! `surge-worker`: reads one task from standard input, runs it, reports on standard output, exits.
//!
//! It is started by Surge. What people may ask it: `--runtime-class` names what it computes with, and `--probe` shows
//! on this machine what its lock-down refuses.

use std::fs::File;
use std::os::fd::AsFd;
use std::process::ExitCode;

use surge_runtime::Wall;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        None => serve(),
        Some("--runtime-class") => {
            println!("{}", surge_runtime::runtime_class());
            ExitCode::SUCCESS
        }
        Some("--probe") => probe(std::env::args().nth(2), std::env::args().nth(3)),
        Some(other) => {
            eprintln!("surge-worker is started by Surge and takes no option {other}: use `surge task run MODULE.wasm`");
            ExitCode::from(2)
        }
    }
}

/// Leaves with 0 where the escape got through, with 1 where it was refused, saying by what.
fn probe(name: Option<String>, wall: Option<String>) -> ExitCode {
    let (Some(name), Some(wall)) = (name, wall.map(|wall| wall.parse::<Wall>())) else {
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
    // The standard handle collects lines, and a frame is none: say it when it is said.
    let served = match std::io::stdout().as_fd().try_clone_to_owned() {
        Ok(stdout) => surge_runtime::serve(std::io::stdin(), File::from(stdout)).map_err(|error| error.to_string()),
        Err(error) => Err(format!("no standard output: {error}")),
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
