//! Builds and tests the contracts offline, and keeps the checked-in artifacts fresh.
//!
//! It does not install node, deploy anything or talk to a chain.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

/// The contracts whose interface and bytecode the rest of the tree uses.
const CONTRACTS: [&str; 2] = ["RewardToken", "Settlement"];
/// How many closing lines of the test runner are shown.
const CLOSING_LINES: usize = 8;

/// Compiles the contracts and writes `contracts/artifacts/*.json`; with `check` compares instead.
///
/// # Errors
/// When the tools are missing, the compiler refuses the sources, or an artifact is out of date.
pub(crate) fn run(check: bool) -> Result<()> {
    forge(&["build", "src"])?;
    for contract in CONTRACTS {
        let built = artifact(contract)?;
        let path = folder().join("artifacts").join(format!("{contract}.json"));
        if check {
            let checked_in = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            ensure!(
                checked_in == built,
                "{} is not what the sources compile to: run `cargo xtask contracts` and commit the result",
                path.display()
            );
            println!("contracts: {contract} is fresh");
        } else {
            fs::write(&path, built).with_context(|| format!("cannot write {}", path.display()))?;
            println!("contracts: wrote {}", path.display());
        }
    }
    Ok(())
}

/// Runs every contract test and prints the runner's closing lines.
///
/// # Errors
/// When the tools are missing or a test fails; its whole output is printed then.
pub(crate) fn test() -> Result<()> {
    let output = forge(&["test"])?;
    let lines: Vec<_> = output.lines().filter(|line| !line.trim().is_empty()).collect();
    for line in &lines[lines.len().saturating_sub(CLOSING_LINES)..] {
        println!("{line}");
    }
    Ok(())
}

/// The program `name` (`anvil`, `forge`) that npm installed for this machine. It is the program itself, not its
/// JavaScript launcher: who kills it leaves no child behind.
#[must_use]
pub(crate) fn program(name: &str) -> PathBuf {
    let os = match std::env::consts::OS {
        "macos" => "darwin",
        "windows" => "win32",
        os => os,
    };
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        arch => arch,
    };
    let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    folder().join("node_modules/@foundry-rs").join(format!("{name}-{os}-{arch}")).join("bin").join(file)
}

fn folder() -> PathBuf {
    crate::run::root().join("contracts")
}

/// Runs forge in the contracts folder; its output when it succeeds, all of it in the error when not.
fn forge(args: &[&str]) -> Result<String> {
    let output = Command::new(program("forge"))
        .args(args)
        .current_dir(folder())
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .output()
        .context("cannot start forge")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!("forge {} failed\n{text}{}", args.join(" "), String::from_utf8_lossy(&output.stderr));
    }
    Ok(text)
}

/// Interface and creation code of `contract` as the compiler made them, keys sorted.
fn artifact(contract: &str) -> Result<String> {
    let path = folder().join("build").join(format!("{contract}.sol")).join(format!("{contract}.json"));
    let text = fs::read_to_string(&path).with_context(|| format!("forge did not write {}", path.display()))?;
    let built: Value = serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))?;
    let bytecode = built["bytecode"]["object"].as_str().context("the artifact has no bytecode")?;
    let interface = json!({ "contract": contract, "abi": built["abi"], "bytecode": bytecode });
    Ok(serde_json::to_string_pretty(&interface)? + "\n")
}
