//! `cargo xtask kill`: the long version of the tests' kills, for a machine that has an hour to spare.

use std::process::Command;

use anyhow::Result;

use crate::run::{self, cargo, say, step, target};
use crate::setup;

/// The programs that are killed, and the one that kills.
const PROGRAMS: [&str; 4] = ["surge-cli", "surge-coordinator", "surge-runtime", "surge-tests"];
/// Killed too where it can have a display.
const DESKTOP: &str = "surge-desktop";
const DISPLAY: &str = "Xvfb";

pub(crate) fn run(count: u32, seed: u64) -> Result<()> {
    setup::for_contracts()?;
    let desktop = run::installed(DISPLAY).then_some(DESKTOP);
    if desktop.is_some() {
        setup::for_desktop()?;
    } else {
        say(format_args!("without the desktop app, which needs a display: {DISPLAY} is not installed"));
    }
    step("build");
    let packages = PROGRAMS.into_iter().chain(desktop).flat_map(|package| ["-p", package]);
    run::run(cargo(&["build", "--release", "--locked", "--bins"]).args(packages))?;
    step("kill");
    let program = target().join("release/kill");
    run::run(Command::new(program).args(["--count", &count.to_string(), "--seed", &seed.to_string()]))
}
