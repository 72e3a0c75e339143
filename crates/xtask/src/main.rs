//! The project's own commands: setup, demo, test, soak, bench, fuzz, ports, jobs, contracts, bindings, plots, tidy.
//!
//! It drives what users drive (programs, sockets, HTTP) and links none of Surge's crates, so that it is ready in
//! seconds and sees only what anybody can see from outside.

mod apt;
mod bench;
mod bindings;
mod contracts;
mod demo;
#[cfg(test)]
#[path = "../../../tests/src/executable.rs"]
#[expect(unreachable_pub, reason = "it is a piece of the whole-system tests")]
mod executable;
mod fuzz;
mod jobs;
mod kill;
mod ports;
mod run;
mod setup;
mod soak;
mod systemd;
mod test;
mod tidy;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Surge's own commands")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Installs what building and testing needs, saying so before it does
    Setup,
    /// Runs the main job on this machine: chain, coordinator, three jobs, three contributors, settlement, withdrawal
    Demo(demo::Args),
    /// Sets up what is missing and passes every test
    Test {
        /// Runs the tests alone, on what is set up and built
        #[arg(long)]
        built: bool,
    },
    /// Runs the whole suite ten times in a row: idle, beside busy processes, on one core, on fresh machines
    Soak(soak::Args),
    /// Keeps a core busy until its input closes
    #[command(hide = true)]
    Spin,
    /// Measures; the names are in docs/benchmarks.md
    Bench {
        name: bench::Name,
        #[command(flatten)]
        rows: bench::Rows,
        /// Writes the figures here as JSON
        #[arg(long)]
        json: Option<PathBuf>,
    },
    /// Feeds the parsers of foreign bytes what breaks them
    Fuzz(fuzz::Args),
    /// Kills engine, workers, coordinator and shells at random moments, and counts what is lost
    Kill {
        #[arg(long, default_value_t = 1_000)]
        count: u32,
        /// Chooses the moments
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Boots a machine with systemd in a container, and tries units, users, restarts and a session's reporter there
    Systemd(systemd::Args),
    /// Rebuilds the sample jobs' modules
    Jobs {
        /// Compares their behaviour with what is checked in, and changes nothing
        #[arg(long)]
        check: bool,
    },
    /// Rebuilds the contracts' artifacts
    Contracts {
        /// Compares with what is checked in, and changes nothing
        #[arg(long)]
        check: bool,
    },
    /// Writes the window's TypeScript types
    Bindings {
        /// Compares with what is checked in, and changes nothing
        #[arg(long)]
        check: bool,
    },
    /// Checks that what has a part for Windows or macOS compiles there
    Ports,
    /// Draws docs/plots from the simulations of a day and of the governor
    Plots,
    /// Checks what the compiler can't: the arrows between crates, formatting, fresh modules
    Tidy,
}

fn main() -> ExitCode {
    let done = match Args::parse().command {
        Command::Setup => setup::everything(),
        Command::Demo(args) => demo::run(&args),
        Command::Test { built: false } => test::run(),
        Command::Test { built: true } => test::built(),
        Command::Soak(args) => soak::run(&args),
        Command::Spin => soak::spin(),
        Command::Bench { name, rows, json } => bench::run(name, &rows, json.as_deref()),
        Command::Fuzz(args) => fuzz::run(&args),
        Command::Kill { count, seed } => kill::run(count, seed),
        Command::Systemd(args) => systemd::run(&args),
        Command::Jobs { check } => jobs::run(check),
        Command::Contracts { check } => setup::for_contracts().and_then(|()| contracts::run(check)),
        Command::Bindings { check } => bindings::run(check),
        Command::Ports => ports::run(),
        Command::Plots => plots(),
        Command::Tidy => tidy::run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            run::say(format_args!("failed: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// The tests that compare the plots write them instead.
fn plots() -> anyhow::Result<()> {
    let args = ["test", "--locked", "-p", "surge-contributor", "--test", "simulation", "plot"];
    run::run(run::cargo(&args).env("SURGE_PLOTS", "write"))
}
