//! The long version of the kill test: `cargo xtask kill` runs it.

use std::io::Write;
use std::time::Duration;

use anyhow::{Result, ensure};
use surge_tests::kill::{Plan, run};

fn main() -> Result<()> {
    let argument = |name: &str, usual: u64| {
        let mut arguments = std::env::args().skip_while(|argument| argument != name);
        arguments.nth(1).map_or(Ok(usual), |value| value.parse())
    };
    let plan = Plan {
        kills: u32::try_from(argument("--count", 1_000)?)?,
        seed: argument("--seed", 1)?,
        pause: Duration::from_millis(argument("--pause-ms", 1_500)?),
        checkpoint: Duration::from_millis(argument("--checkpoint-ms", 250)?),
        rounds: argument("--rounds", 2_000)?,
        steps: argument("--steps", 1_000_000)?,
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
