//! Checks that what has a part for Windows or macOS compiles there, on a machine that has neither.
//!
//! Deliberately absent: running any of it. What this passes is compiled, and nothing more may be said of it.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::run::{self, cargo, say, step, target};
use crate::setup;

/// A system, and the crates that have a part for it.
const PORTS: [(&str, &[&str]); 2] = [
    ("x86_64-pc-windows-gnu", &["surge-platform", "surge-runtime"]),
    ("aarch64-apple-darwin", &["surge-platform", "surge-runtime"]),
];
/// Debian's compiler, with the source of its standard library.
const DEBIAN_PACKAGES: &[&str] = &["rustc-web", "cargo-web", "rust-web-src"];

pub(crate) fn run() -> Result<()> {
    for (system, crates) in PORTS {
        step(&format!("{system}: {}", crates.join(", ")));
        let mut check = compiler(system)?;
        check.args(["check", "--quiet", "--lib", "--bins", "--target", system]);
        check.args(crates.iter().flat_map(|name| ["-p", name]));
        // Nothing is linked, so that no C has to be compiled for it.
        let name = system.replace('-', "_");
        check.env(format!("CC_{name}"), "true").env(format!("AR_{name}"), "true");
        run::run(check.env("CARGO_TARGET_DIR", target().join("ports")))?;
        say(format_args!("compiled for {system}, and not run"));
    }
    Ok(())
}

/// A cargo that has a standard library for `system`: rustup's, or Debian's, which compiles it.
fn compiler(system: &str) -> Result<Command> {
    let added = run::output(Command::new("rustup").args(["target", "add", system]));
    if added.is_ok() {
        return Ok(cargo(&[]));
    }
    setup::packages(&[("the compile check for other systems", DEBIAN_PACKAGES)])?;
    ensure!(
        Path::new("/usr/bin/cargo").exists(),
        "nothing here compiles for {system}. Run `rustup target add {system}`, then this again"
    );
    let mut command = Command::new("/usr/bin/cargo");
    command.args(["-Zbuild-std=std,panic_abort"]).current_dir(run::root());
    command.env("RUSTC", "/usr/bin/rustc").env("RUSTC_BOOTSTRAP", "1");
    Ok(command)
}
