//! Everything that must hold, in the order in which a mistake is cheapest to find.

use std::process::Command;

use anyhow::{Result, bail};

use crate::run::{self, cargo, root, say, step};
use crate::{bindings, contracts, setup, tidy};

/// All of our crates and all that is in them. One selection for all of it, so that nothing is built twice with other
/// features.
const EVERYTHING: [&str; 3] = ["--workspace", "--all-targets", "--locked"];

pub(crate) fn run() -> Result<()> {
    step("setup");
    setup::everything()?;
    tidy::run()?;
    dependencies()?;
    step("contracts");
    contracts::run(true)?;
    contracts::test()?;
    step("window");
    window("check")?;
    window("test")?;
    step("clippy");
    run::run(cargo(&["clippy"]).args(EVERYTHING).args(["--", "-D", "warnings"]))?;
    step("build");
    run::run(cargo(&["build"]).args(EVERYTHING))?;
    bindings::built_are_fresh()?;
    step("tests");
    tests()
}

/// The tests alone; those behind one that fails run too.
pub(crate) fn built() -> Result<()> {
    type Part = (&'static str, fn() -> Result<()>);
    let parts: [Part; 3] = [("contracts", contracts::test), ("window", || window("test")), ("tests", tests)];
    let mut failed = Vec::new();
    for (name, part) in parts {
        step(name);
        if let Err(error) = part() {
            // Which Rust tests failed is told by themselves.
            if name != "tests" {
                say(format_args!("this part failed: {name}"));
            }
            failed.push(format!("{name}: {error:#}"));
        }
    }
    if !failed.is_empty() {
        bail!("{}", failed.join("; "));
    }
    Ok(())
}

/// Licences, bans and sources of every dependency.
fn dependencies() -> Result<()> {
    step("dependencies");
    let program = setup::cargo_deny()?;
    run::run(Command::new(program).args(["check", "bans", "licenses", "sources"]).current_dir(root()))
}

/// A script of the window's: its checks, or its tests.
fn window(script: &str) -> Result<()> {
    run::run(Command::new("npm").args(["run", "--silent", script]).current_dir(root().join("ui")))
}

/// There are no examples in the documentation to run.
fn tests() -> Result<()> {
    run::run(cargo(&["test"]).args(EVERYTHING).arg("--no-fail-fast"))
}
