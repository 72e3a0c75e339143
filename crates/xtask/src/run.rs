//! Where things are, and how another program is run.

use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The repository.
#[must_use]
pub(crate) fn root() -> PathBuf {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in crates/");
    crates.parent().expect("crates/ lies in the repository").to_owned()
}

/// Where cargo builds.
#[must_use]
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Prints a line of our own.
pub(crate) fn say(line: fmt::Arguments<'_>) {
    // A closed standard error is nobody listening.
    let _ = writeln!(std::io::stderr(), "xtask: {line}");
}

/// Prints the heading of a step.
pub(crate) fn step(name: &str) {
    let _ = writeln!(std::io::stderr(), "\n── {name}");
}

/// A cargo call in the repository.
#[must_use]
pub(crate) fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(root());
    command
}

/// Runs a program to its end.
///
/// # Errors
/// When it can't be started or ends with another status than 0.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let name = format!("{command:?}");
    let status = command.status().with_context(|| format!("could not start {name}"))?;
    if !status.success() {
        bail!("{name} ended with {status}");
    }
    Ok(())
}

/// Runs a program and returns what it printed.
///
/// # Errors
/// As [`run`]; the error holds what it printed on standard error.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let name = format!("{command:?}");
    let done = command.stdin(Stdio::null()).output().with_context(|| format!("could not start {name}"))?;
    if !done.status.success() {
        bail!("{name} ended with {}: {}", done.status, String::from_utf8_lossy(&done.stderr).trim());
    }
    String::from_utf8(done.stdout).with_context(|| format!("{name} printed something that is not text"))
}

/// Whether a program is on the PATH.
#[must_use]
pub(crate) fn installed(program: &str) -> bool {
    let Some(path) = std::env::var_os("PATH") else { return false };
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
