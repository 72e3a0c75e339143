//! Builds the sample jobs for wasm32-wasip1, and compares how fresh and checked-in modules behave.
//!
//! Two toolchains build different bytes from the same source, so bytes are not compared.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{NAMES, folder, module, plan};
use crate::run::{self, cargo, installed, say, step, target};

const TARGET: &str = "wasm32-wasip1";
/// Debian's compiler for this target; its standard library comes as source.
const DEBIAN_PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "wasi-libc"];
const DEBIAN_LIBC: &str = "/usr/lib/wasm32-wasi";
const DEBIAN_STD: &str = "/usr/lib/rustlib/src/rust/library/std";

/// A module that was just built.
#[derive(Debug)]
pub(super) struct Built {
    pub(super) job: &'static str,
    pub(super) module: PathBuf,
}

/// Builds every job.
pub(super) fn build() -> Result<Vec<Built>> {
    step("jobs");
    let target = target().join("jobs");
    let mut command = if rustup_target() { cargo(&[]) } else { debian_cargo()? };
    clean_environment(&mut command);
    command.args(["build", "--quiet", "--release", "--locked", "--target", TARGET, "--manifest-path"]);
    command.arg(folder().join("Cargo.toml")).current_dir(folder()).env("CARGO_TARGET_DIR", &target);
    run::run(&mut command)?;
    let built = |&job| Built { job, module: target.join(TARGET).join("release").join(job).with_extension("wasm") };
    Ok(NAMES.iter().map(built).collect())
}

/// The programs' own tests, natively.
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
pub(super) fn compare(built: &[Built]) -> Result<()> {
    step("behaviour of fresh and checked-in modules");
    run::run(&mut cargo(&["build", "--quiet", "--locked", "-p", "surge-cli", "-p", "surge-runtime", "--bins"]))?;
    let surge = target().join("debug/surge");
    let scratch = target().join("jobs/compare");
    fs::create_dir_all(&scratch).with_context(|| format!("{} can't be made", scratch.display()))?;
    for Built { job, module: fresh } in built {
        let trials = trials(job)?;
        for (i, (input, expected)) in trials.iter().enumerate() {
            let stdin = scratch.join(format!("{job}-{i}.txt"));
            fs::write(&stdin, input).with_context(|| format!("{} can't be written", stdin.display()))?;
            let old = dry_run(&surge, job, &module(job), &stdin)?;
            let new = dry_run(&surge, job, fresh, &stdin)?;
            ensure!(old == new, "{job} behaves differently on {}: {old:?} checked in, {new:?} fresh", stdin.display());
            ensure!(old.outcome == *expected, "{job} on {}: {old:?}, expected {expected}", stdin.display());
        }
        say(format_args!("{job}: {} inputs, the same results", trials.len()));
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

fn dry_run(surge: &Path, job: &str, module: &Path, stdin: &Path) -> Result<Came> {
    let mut command = Command::new(surge);
    command.args(["task", "run"]).arg(module).arg("--stdin").arg(stdin).arg("--json");
    for (name, path) in plan(job, 0)?.data {
        command.arg("--data").arg(format!("{name}={}", path.display()));
    }
    let done = command.output().with_context(|| format!("could not start {}", surge.display()))?;
    let log = String::from_utf8_lossy(&done.stderr);
    let report = log.lines().last().unwrap_or_default();
    let report: Value = serde_json::from_str(report).with_context(|| format!("{command:?} reported nothing: {log}"))?;
    let text = |key: &str| report[key].as_str().map_or_else(|| report[key].to_string(), str::to_owned);
    Ok(Came { outcome: text("outcome"), code: text("code"), digest: text("digest") })
}

/// Inputs that reach every part of a job in little time, one of them to be refused; and how each ends.
fn trials(job: &str) -> Result<Vec<(Vec<u8>, &'static str)>> {
    let texts = match job {
        "mersenne" => vec!["2-1300\n".to_owned(), "2203 3001 7001 # three transforms\n".to_owned()],
        "render" => {
            let corners = [(0, 0), (150, 100), (320, 180), (500, 300)];
            let tile =
                |(left, top)| format!("picture 640 360\nsamples 16\ntile {left} {top} 64 48\nseed {}\n", left + top);
            corners.into_iter().map(tile).collect()
        }
        _ => {
            let shorter = |input: Vec<u8>| {
                let text = String::from_utf8(input).context("an input is not text")?;
                let query = text.split_once('\n').context("an input has a query")?.1;
                Ok(format!("slice 700 60\n{query}"))
            };
            let texts = (0..4).map(|seed| shorter(plan(job, seed)?.inputs.swap_remove(0)));
            texts.collect::<Result<BTreeSet<_>>>()?.into_iter().collect()
        }
    };
    let refused = ("no such input\n".to_owned(), "exit");
    Ok(texts
        .into_iter()
        .map(|text| (text, "done"))
        .chain([refused])
        .map(|(text, ends)| (text.into_bytes(), ends))
        .collect())
}
