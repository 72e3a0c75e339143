//! `surge-worker`: reads one task from standard input, runs it, reports on standard output, exits.
//!
//! It takes no options from people: `--runtime-class` is for the engine, which asks once at start.

use std::fs::File;
use std::os::fd::AsFd;
use std::process::ExitCode;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        None => serve(),
        Some("--runtime-class") => {
            println!("{}", surge_runtime::runtime_class());
            ExitCode::SUCCESS
        }
        Some(other) => {
            eprintln!("surge-worker is started by Surge and takes no option {other}: use `surge task run MODULE.wasm`");
            ExitCode::from(2)
        }
    }
}

fn serve() -> ExitCode {
    // The standard handle collects lines, and a frame is none: say it when it is said.
    let served = match std::io::stdout().as_fd().try_clone_to_owned() {
        Ok(stdout) => {
            surge_runtime::serve(std::io::stdin().lock(), File::from(stdout)).map_err(|error| error.to_string())
        }
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
