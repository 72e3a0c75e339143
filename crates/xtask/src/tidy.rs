//! Checks what the compiler can't: the arrows between crates, and between modules that decide; formatting; that checked-in
//! builds belong to their sources; that nothing of a workplace is named.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Result, bail};
use serde_json::Value;

use crate::run::{self, cargo, root, step};

mod modules;

/// Which of our crates may import which. A crate that is not listed is an error.
const ARROWS: &[(&str, &[&str])] = &[
    ("surge-protocol", &[]),
    ("surge-platform", &[]),
    ("surge-runtime", &["surge-protocol"]),
    ("surge-supervisor", &["surge-protocol", "surge-platform"]),
    ("surge-client", &["surge-protocol", "surge-platform"]),
    ("surge-wallet", &["surge-protocol"]),
    ("surge-contributor", &["surge-protocol", "surge-platform", "surge-supervisor", "surge-client"]),
    ("surge-coordinator", &["surge-protocol", "surge-wallet", "surge-supervisor"]),
    (
        "surge-cli",
        &["surge-protocol", "surge-platform", "surge-client", "surge-contributor", "surge-wallet", "surge-supervisor"],
    ),
    ("surge-desktop", &["surge-protocol", "surge-platform", "surge-client", "surge-wallet"]),
    ("surge-tests", &["surge-protocol", "surge-platform", "surge-client", "surge-contributor"]),
    ("xtask", &[]),
];

/// Files that would make a folder of leftovers out of a crate.
const NO_SUCH_NAMES: &[&str] = &["utils.rs", "util.rs", "helpers.rs", "helper.rs", "misc.rs", "common.rs"];

/// The only file of the window that may import Tauri.
const TAURI_DOOR: &str = "ui/src/lib/backend/tauri.ts";

/// How a test's own program would be made in the test's process, which sometimes fails: "Text file busy".
const MADE_EXECUTABLE: &str = "from_mode(0o755)";

pub(crate) fn run() -> Result<()> {
    step("tidy");
    let mut problems = arrows()?;
    problems.extend(files()?);
    if let Err(error) = crate::jobs::fresh() {
        problems.push(format!("{error:#}"));
    }
    if !problems.is_empty() {
        bail!("not tidy:\n  {}", problems.join("\n  "));
    }
    run::run(&mut cargo(&["fmt", "--all", "--check"]))
}

/// Arrows that the design does not have.
fn arrows() -> Result<Vec<String>> {
    let metadata = run::output(&mut cargo(&["metadata", "--format-version=1", "--no-deps", "--locked"]))?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    Ok(wrong_arrows(&metadata, &ARROWS.iter().copied().collect()))
}

fn wrong_arrows(metadata: &Value, allowed: &BTreeMap<&str, &[&str]>) -> Vec<String> {
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let ours: Vec<_> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    let mut problems = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let Some(allowed) = allowed.get(name) else {
            problems.push(format!("{name} is a new crate: say in tidy.rs what it may import"));
            continue;
        };
        let imports = package["dependencies"].as_array().map(Vec::as_slice).unwrap_or_default();
        // What only tests import does not ship.
        let shipped = imports.iter().filter(|import| import["kind"].as_str() != Some("dev"));
        for import in shipped.filter_map(|import| import["name"].as_str()) {
            if ours.contains(&import) && !allowed.contains(&import) {
                problems.push(format!("{name} may not import {import}"));
            }
        }
    }
    problems
}

/// Files with a name that says nothing, and imports of modules and of Tauri where they do not belong.
fn files() -> Result<Vec<String>> {
    let listed = run::output(Command::new("git").args(["ls-files"]).current_dir(root()))?;
    let mut problems = Vec::new();
    for file in listed.lines() {
        let name = file.rsplit('/').next().unwrap_or(file);
        if NO_SUCH_NAMES.contains(&name) {
            problems.push(format!("{file}: name it after what it holds"));
        }
        let is_test = name.ends_with(".rs") && (file.starts_with("tests/") || file.contains("/tests/"));
        if is_test && std::fs::read_to_string(root().join(file))?.contains(MADE_EXECUTABLE) {
            problems.push(format!("{file} makes a program: see tests/src/executable.rs for how"));
        }
        if name.ends_with(".rs") && file.starts_with(modules::SOURCES) {
            problems.extend(modules::wrong_arrows(file, &std::fs::read_to_string(root().join(file))?));
        }
        let script = file.starts_with("ui/src/") && (name.ends_with(".ts") || name.ends_with(".svelte"));
        if script && file != TAURI_DOOR && std::fs::read_to_string(root().join(file))?.contains("@tauri-apps/") {
            problems.push(format!("{file} imports Tauri: only {TAURI_DOOR} does"));
        }
    }
    Ok(problems)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_arrow_that_points_up_is_named() {
        let package = |name: &str, imports: Value| json!({ "name": name, "dependencies": imports });
        let metadata = json!({ "packages": [
            package("surge-protocol", json!([{ "name": "surge-wallet", "kind": null }, { "name": "serde", "kind": null }])),
            package("surge-wallet", json!([{ "name": "surge-protocol", "kind": null }])),
            package("surge-extra", json!([])),
        ]});
        let problems = wrong_arrows(&metadata, &ARROWS.iter().copied().collect());
        assert_eq!(
            problems,
            [
                "surge-protocol may not import surge-wallet",
                "surge-extra is a new crate: say in tidy.rs what it may import",
            ]
        );
    }

    #[test]
    fn what_only_tests_import_is_free() {
        let metadata = json!({ "packages": [
            { "name": "surge-protocol", "dependencies": [{ "name": "surge-wallet", "kind": "dev" }] },
            { "name": "surge-wallet", "dependencies": [] },
        ]});
        assert!(wrong_arrows(&metadata, &ARROWS.iter().copied().collect()).is_empty());
    }
}
