//! `surge-worker`: reads one task from standard input, runs it, reports on standard output, exits.
//!
//! It is started by Surge. What people may ask it: `--runtime-class` names what it computes with, and `--probe` shows
//! on this machine what its lock-down refuses.

use std::process::ExitCode;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        None => serve(),
        Some("--runtime-class") => {
            println!("{}", surge_runtime::runtime_class());
            ExitCode::SUCCESS
        }
        #[cfg(target_os = "linux")]
        Some("--probe") => probe(std::env::args().nth(2), std::env::args().nth(3)),
        Some(other) => {
            eprintln!("surge-worker is started by Surge and takes no option {other}: use `surge task run MODULE.wasm`");
            ExitCode::from(2)
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
    let served = match surge_runtime::stdout() {
        Ok(stdout) => surge_runtime::serve(std::io::stdin(), stdout).map_err(|error| error.to_string()),
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
