//! Everything that must hold, in the order in which a mistake is cheapest to find.

use std::process::Command;

use anyhow::Result;

use crate::run::{self, cargo, root, step};
use crate::{bindings, contracts, setup, tidy};

pub(crate) fn run() -> Result<()> {
    step("setup");
    setup::everything()?;
    tidy::run()?;
    dependencies()?;
    step("contracts");
    contracts::run(true)?;
    contracts::test()?;
    window()?;
    step("clippy");
    run::run(&mut cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]))?;
    step("build");
    run::run(&mut cargo(&["build", "--workspace", "--all-targets", "--locked"]))?;
    step("tests");
    // The same selection as above, so that nothing is built twice. There are no examples in the documentation to run.
    run::run(&mut cargo(&["test", "--workspace", "--all-targets", "--locked", "--no-fail-fast"]))
}

/// Licences, bans and sources of every dependency.
fn dependencies() -> Result<()> {
    step("dependencies");
    let program = setup::cargo_deny()?;
    run::run(Command::new(program).args(["check", "bans", "licenses", "sources"]).current_dir(root()))
}

/// The window's types, checks and tests.
fn window() -> Result<()> {
    step("window");
    bindings::run(true)?;
    for script in ["check", "test"] {
        run::run(Command::new("npm").args(["run", "--silent", script]).current_dir(root().join("ui")))?;
    }
    Ok(())
}
