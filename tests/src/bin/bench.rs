//! Measures what an owner feels; `cargo xtask bench` builds it, runs it and makes figures of what it prints.

use std::io::Write;

use anyhow::Result;
use clap::{Parser, Subcommand};
use surge_tests::bench::{Condition, Seat, footprint, yielding};

#[derive(Debug, Parser)]
struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// From the owner's first input to the last tick of work
    Yield {
        #[arg(long, value_enum, default_value = "x11")]
        seat: Seat,
        #[arg(long, value_enum, default_value = "quiet")]
        condition: Condition,
        #[arg(long, default_value_t = 200)]
        trials: usize,
    },
    /// Memory, CPU and wake-ups
    Footprint {
        #[arg(long, value_enum, default_value = "x11")]
        seat: Seat,
        #[arg(long, default_value_t = 120)]
        seconds: u64,
    },
}

fn main() -> Result<()> {
    // Nobody has to listen.
    let say = |line: &str| drop(writeln!(std::io::stderr(), "bench: {line}"));
    let found = match Args::parse().what {
        What::Yield { seat, condition, trials } => yielding(seat, condition, trials, say)?,
        What::Footprint { seat, seconds } => footprint(seat, seconds, say)?,
    };
    writeln!(std::io::stdout(), "{found}")?;
    Ok(())
}
