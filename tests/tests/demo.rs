//! The main job as a newcomer runs it: `cargo xtask demo`, headless, and what its statement says.

#![expect(clippy::unwrap_used, reason = "a test that can't go on says where")]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use surge_tests::network::wait_for;

fn amount(statement: &Value, key: &str) -> u128 {
    statement[key].as_str().unwrap_or_else(|| panic!("{key} is a text")).parse().unwrap()
}

#[test]
fn three_jobs_are_computed_confirmed_settled_claimed_and_withdrawn() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("statement.json");
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let demo = Command::new(cargo)
        .args(["xtask", "demo", "--dev", "--headless", "--seed", "7", "--json"])
        .arg(&file)
        .current_dir(root)
        .env_remove("DISPLAY")
        .output()
        .unwrap();
    assert!(demo.status.success(), "{}", String::from_utf8_lossy(&demo.stderr));

    let statement: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert!(statement["tasks_validated"].as_u64().unwrap() >= 50, "{statement}");
    assert!(statement["tasks_rejected"].as_u64().unwrap() >= 1, "{statement}");
    assert_eq!(amount(&statement, "earned"), amount(&statement, "claimed"));
    assert_eq!(amount(&statement, "withdrawn"), amount(&statement, "recipient_balance"));
    assert!(amount(&statement, "withdrawn") > 0);
    for key in ["epoch_tx", "withdraw_tx"] {
        assert_eq!(statement[key].as_str().unwrap().len(), 66, "{key}");
    }
    let picture = std::fs::read(statement["picture"].as_str().unwrap()).unwrap();
    assert!(picture.starts_with(b"\x89PNG"));

    // A worker that was killed with its engine may take a moment to go.
    wait_for("the end of every program of the demo", || strays().is_empty().then_some(()));
}

/// Programs of the demo's build that still run. Other tests' programs lie in `deps` and do not count.
fn strays() -> Vec<String> {
    let deps = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    let built = deps.parent().unwrap().to_owned();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let programs = processes.filter_map(|process| std::fs::read_link(process.path().join("exe")).ok());
    // The xtask that runs these tests is one of them, by a name that says so when cargo has replaced its file.
    let xtask = |program: &Path| program.file_name().is_some_and(|name| name.to_string_lossy().starts_with("xtask"));
    let ours = programs.filter(|program| program.parent() == Some(&built) && !xtask(program));
    ours.map(|program| program.display().to_string()).collect()
}
