//! `cargo xtask kill`: the long version of the tests' kills, for a machine that has an hour to spare.

use std::process::Command;

use anyhow::Result;

use crate::run::{self, cargo, step, target};
use crate::setup;

/// The programs that are killed, and the one that kills.
const PROGRAMS: [&str; 4] = ["surge-cli", "surge-coordinator", "surge-runtime", "surge-tests"];

pub(crate) fn run(count: u32, seed: u64) -> Result<()> {
    setup::for_contracts()?;
    step("build");
    let packages = PROGRAMS.iter().flat_map(|package| ["-p", package]);
    run::run(cargo(&["build", "--release", "--locked", "--bins"]).args(packages))?;
    step("kill");
    let program = target().join("release/kill");
    run::run(Command::new(program).args(["--count", &count.to_string(), "--seed", &seed.to_string()]))
}
