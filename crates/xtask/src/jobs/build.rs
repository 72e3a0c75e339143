//! Builds programs for wasm32-wasip1, and compares how fresh and checked-in modules behave.
//!
//! Two toolchains build different bytes from the same source, so bytes are not compared.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::shelf::{Language, Shelf};
use super::trials::{Trial, trials};
use super::{folder, zig};
use crate::run::{self, cargo, installed, say, step, target};

const TARGET: &str = "wasm32-wasip1";
/// Debian's compiler for this target; its standard library comes as source.
const DEBIAN_PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "wasi-libc"];
const DEBIAN_LIBC: &str = "/usr/lib/wasm32-wasi";
const DEBIAN_STD: &str = "/usr/lib/rustlib/src/rust/library/std";

/// A module that was just built.
#[derive(Debug)]
pub(super) struct Built {
    pub(super) program: &'static str,
    pub(super) module: PathBuf,
}

/// Builds every program of a shelf.
pub(super) fn build(shelf: &Shelf) -> Result<Vec<Built>> {
    step(&format!("programs of {}", shelf.sources().display()));
    let target = target().join("jobs");
    let mut command = if rustup_target() { cargo(&[]) } else { debian_cargo()? };
    clean_environment(&mut command);
    command.args(["build", "--quiet", "--release", "--locked", "--target", TARGET, "--manifest-path"]);
    command.arg(shelf.sources().join("Cargo.toml"));
    shelf.in_rust().for_each(|program| {
        command.args(["--package", program]);
    });
    run::run(command.current_dir(shelf.sources()).env("CARGO_TARGET_DIR", &target))?;
    let release = target.join(TARGET).join("release");
    let mut all = Vec::new();
    for program in shelf.programs {
        let module = release.join(program.name).with_extension("wasm");
        if program.language != Language::Rust {
            zig::build(shelf, program, &module)?;
        }
        all.push(Built { program: program.name, module });
    }
    Ok(all)
}

/// The sample jobs' own tests, natively.
pub(super) fn test() -> Result<()> {
    let mut command = cargo(&[]);
    clean_environment(&mut command);
    command.args(["test", "--quiet", "--release", "--locked"]);
    run::run(command.current_dir(folder()).env("CARGO_TARGET_DIR", target().join("jobs")))
}

/// Whether rustup has the target, or gets it now.
fn rustup_target() -> bool {
    let has = || {
        run::output(Command::new("rustup").args(["target", "list", "--installed"]))
            .is_ok_and(|all| all.contains(TARGET))
    };
    if !installed("rustup") || has() {
        return installed("rustup");
    }
    say(format_args!("adding {TARGET} with rustup"));
    let added = run::output(Command::new("rustup").args(["target", "add", TARGET]));
    if let Err(error) = &added {
        say(format_args!("rustup can't: {error:#}"));
    }
    added.is_ok() && has()
}

/// Debian's cargo, which builds the standard library as well and links with the linker of the Rust that is in use.
fn debian_cargo() -> Result<Command> {
    let there =
        [DEBIAN_LIBC, DEBIAN_STD, "/usr/bin/rustc", "/usr/bin/cargo"].iter().all(|path| Path::new(path).exists());
    ensure!(
        there,
        "nothing here builds for {TARGET}. Run `rustup target add {TARGET}`, or on Debian `apt-get install {}`, then this again",
        DEBIAN_PACKAGES.join(" ")
    );
    let sysroot = run::output(Command::new("rustc").args(["--print", "sysroot"]))?;
    let host = run::output(Command::new("rustc").args(["--print", "host-tuple"]))?;
    let linker = Path::new(sysroot.trim()).join("lib/rustlib").join(host.trim()).join("bin/rust-lld");
    ensure!(linker.exists(), "{} is not there: install Rust by rustup, which brings its linker", linker.display());
    let start = format!("link-arg={DEBIAN_LIBC}/crt1-command.o");
    let flags = ["-C", "link-self-contained=no", "-L", DEBIAN_LIBC, "-C", &start];
    let mut command = Command::new("/usr/bin/cargo");
    command.env("RUSTC", "/usr/bin/rustc").env("RUSTC_BOOTSTRAP", "1");
    command.args([
        "-Zbuild-std=std,panic_abort",
        "--config",
        &format!("target.{TARGET}.rustflags={}", serde_json::to_string(&flags)?),
    ]);
    command.args(["--config", &format!("target.{TARGET}.linker={}", serde_json::to_string(&linker)?)]);
    Ok(command)
}

/// Removes what cargo set for this program and what would override the jobs' own flags.
fn clean_environment(command: &mut Command) {
    let ours = ["CARGO_HOME", "CARGO_HTTP_CAINFO", "CARGO_NET_OFFLINE"];
    for (name, _) in std::env::vars_os() {
        let Some(name) = name.to_str() else { continue };
        let registry = name.starts_with("CARGO_REGISTRIES_") || name.starts_with("CARGO_SOURCE_");
        if (name.starts_with("CARGO") && !ours.contains(&name) && !registry) || name == "RUSTFLAGS" {
            command.env_remove(name);
        }
    }
}

/// Runs fresh and checked-in modules on the same inputs through `surge task run`: every outcome and output must be the same.
pub(super) fn compare(shelf: &Shelf, built: &[Built]) -> Result<()> {
    step("behaviour of fresh and checked-in modules");
    // The same selection as in `./x test`, so that nothing is built twice.
    run::run(&mut cargo(&["build", "--quiet", "--locked", "--workspace", "--bin", "surge", "--bin", "surge-worker"]))?;
    let surge = target().join("debug/surge");
    let scratch = target().join("jobs/compare");
    fs::create_dir_all(&scratch).with_context(|| format!("{} can't be made", scratch.display()))?;
    for Built { program, module: fresh } in built {
        let trials = trials(program)?;
        for (i, trial) in trials.iter().enumerate() {
            let stdin = scratch.join(format!("{program}-{i}.txt"));
            fs::write(&stdin, &trial.stdin).with_context(|| format!("{} can't be written", stdin.display()))?;
            let old = dry_run(&surge, &shelf.module(program), trial, &stdin)?;
            let new = dry_run(&surge, fresh, trial, &stdin)?;
            let on = format!("{program} {} on {}", trial.args.join(" "), stdin.display());
            ensure!(old == new, "{on} behaves differently: {old:?} checked in, {new:?} fresh");
            ensure!(old.outcome == trial.ends, "{on}: {old:?}, expected {}", trial.ends);
        }
        say(format_args!("{program}: {} inputs, the same results", trials.len()));
    }
    Ok(())
}

/// What a task came to: the digest covers the outcome, its code and all of standard output.
#[derive(Debug, PartialEq, Eq)]
struct Came {
    outcome: String,
    code: String,
    digest: String,
}

fn dry_run(surge: &Path, module: &Path, trial: &Trial, stdin: &Path) -> Result<Came> {
    let mut command = Command::new(surge);
    command.args(["task", "run"]).arg(module).arg("--stdin").arg(stdin).arg("--json");
    for argument in &trial.args {
        command.arg("--arg").arg(argument);
    }
    for (name, path) in &trial.data {
        command.arg("--data").arg(format!("{name}={}", path.display()));
    }
    let done = command.output().with_context(|| format!("could not start {}", surge.display()))?;
    let log = String::from_utf8_lossy(&done.stderr);
    let report = log.lines().last().unwrap_or_default();
    let report: Value = serde_json::from_str(report).with_context(|| format!("{command:?} reported nothing: {log}"))?;
    let text = |key: &str| report[key].as_str().map_or_else(|| report[key].to_string(), str::to_owned);
    Ok(Came { outcome: text("outcome"), code: text("code"), digest: text("digest") })
}
