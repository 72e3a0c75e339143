//! The long version of the kill test: `cargo xtask kill` runs it.

use std::io::Write;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Parser;
use surge_tests::kill::{Plan, run};

/// Kills engine, workers, coordinator and shells at random moments, and counts what is lost
#[derive(Debug, Parser)]
struct Args {
    /// How many kills
    #[arg(long, default_value_t = 1_000)]
    count: u32,
    /// Chooses victims and moments
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The longest pause before a kill, milliseconds
    #[arg(long, default_value_t = 1_500)]
    pause_ms: u64,
    /// CPU milliseconds between two checkpoints of a task
    #[arg(long, default_value_t = 250)]
    checkpoint_ms: u64,
    /// Rounds of a task
    #[arg(long, default_value_t = 2_000)]
    rounds: u64,
    /// Steps of a round, about a nanosecond long
    #[arg(long, default_value_t = 1_000_000)]
    steps: u64,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let plan = Plan {
        kills: args.count,
        seed: args.seed,
        pause: Duration::from_millis(args.pause_ms),
        checkpoint: Duration::from_millis(args.checkpoint_ms),
        rounds: args.rounds,
        steps: args.steps,
    };
    let mut out = std::io::stdout();
    writeln!(out, "{plan:?}")?;
    let folder = tempfile::tempdir()?;
    let tally = run(folder.path(), &plan, |line| {
        // Nobody has to listen.
        let _ = writeln!(std::io::stdout(), "{line}");
    });
    writeln!(out, "{tally:#?}")?;
    ensure!(tally.lost == 0 && tally.paid_twice == 0 && tally.corrupt == 0, "something was lost, see above");
    ensure!(tally.unattended() == 0, "a worker went on for more than a second without an engine, see above");
    Ok(())
}
