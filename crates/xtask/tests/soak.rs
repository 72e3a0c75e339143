//! `cargo xtask soak` with a suite of a few lines in place of the whole one: what is run how, what is counted, and how it
//! goes on after an interruption.

#![expect(clippy::unwrap_used, reason = "a test that can't go on says where")]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

#[path = "../../../tests/src/executable.rs"]
#[expect(unreachable_pub, reason = "it is a piece of the whole-system tests")]
mod executable;

/// Says how many processors it has and how many processes were started beside it, and passes two tests.
const SUITE: &str = "\
others=$(cat /proc/$PPID/task/*/children | wc -w)
echo \"${MACHINE:-here} $(nproc) $((others - 1))\" >> \"$CARGO_TARGET_DIR/calls\"
echo '     Running tests/a.rs (target/debug/deps/a-1)'
echo 'test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s'";

const WELL: &str = "echo 'test result: ok. 1 passed; 0 failed'";

struct Soak {
    target: TempDir,
    suite: String,
}

impl Soak {
    fn of(suite: &str) -> Self {
        Self { target: tempfile::tempdir().unwrap(), suite: suite.to_owned() }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.target.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.args(["soak", "--suite", &self.suite]).args(args).env("CARGO_TARGET_DIR", self.target.path());
        command
    }

    /// What it printed, and whether all runs were well.
    fn run(&self, args: &[&str]) -> (String, bool) {
        let Output { status, stdout, .. } = self.command(args).output().unwrap();
        (String::from_utf8(stdout).unwrap(), status.success())
    }

    fn calls(&self) -> Vec<String> {
        fs::read_to_string(self.file("calls")).unwrap_or_default().lines().map(str::to_owned).collect()
    }
}

/// Takes the place of a fresh machine: says who asked, and runs the command here.
fn fresh_machine(soak: &Soak) -> String {
    let program = soak.file("fresh");
    let script = "#!/bin/sh\nMACHINE=root; [ \"$1\" = --user ] && { MACHINE=user; shift; }\nexport MACHINE\ncd \"$1\"; shift\nexec \"$@\"\n";
    executable::write(&program, script);
    program.to_str().unwrap().to_owned()
}

#[test]
fn ten_runs_are_run_as_planned_and_counted() {
    let soak = Soak::of(SUITE);
    let json = soak.file("figures.json");
    let (out, well) = soak.run(&["--fresh-machine", &fresh_machine(&soak), "--json", json.to_str().unwrap()]);
    assert!(well, "{out}");
    let cores = std::thread::available_parallelism().unwrap();
    let (idle, busy) = (&*format!("here {cores} 0"), &*format!("here {cores} 4"));
    let calls = soak.calls();
    assert_eq!(calls[..6], [idle, idle, idle, busy, busy, busy], "{calls:?}");
    assert_eq!(calls[6..8], ["here 1 0", "here 1 0"], "on one core: {calls:?}");
    assert!(calls[8].starts_with("root ") && calls[9].starts_with("user ") && calls.len() == 10, "{calls:?}");

    let figures: Value = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
    for (key, value) in [("planned", 10), ("passed", 10), ("failed", 0), ("left_out", 0)] {
        assert_eq!(figures[key], value, "{key}: {figures}");
    }
    let runs = figures["runs"].as_array().unwrap();
    assert!(runs.iter().all(|run| run["tests"] == 2 && run["failures"].as_array().unwrap().is_empty()), "{figures}");
    assert!(fs::read_to_string(soak.file("soak/10.log")).unwrap().contains("2 passed"));
    assert_eq!(out.lines().filter(|line| line.ends_with("none")).count(), 10, "{out}");
}

#[test]
fn a_failure_is_named_and_the_other_runs_are_run() {
    let soak = Soak::of(&format!(
        "echo call >> \"$CARGO_TARGET_DIR/calls\"\n\
         [ $(wc -l < \"$CARGO_TARGET_DIR/calls\") = 2 ] || {{ {WELL}; exit 0; }}\n\
         printf 'failures:\\n    it::is_flaky\\n\\ntest result: FAILED. 1 passed; 1 failed; 0 ignored\\n'; exit 101"
    ));
    let (out, well) = soak.run(&[]);
    assert!(!well, "{out}");
    assert_eq!(soak.calls().len(), 8, "without a fresh machine two are left out");
    let rows: Vec<_> = out.lines().filter(|line| line.trim_start().starts_with(|c: char| c.is_ascii_digit())).collect();
    assert!(rows[1].ends_with("it::is_flaky") && rows[2].ends_with("none") && rows[9].ends_with("left out"), "{out}");
    assert!(!soak.run(&[]).1, "a failure stays one");
    assert_eq!(soak.calls().len(), 8, "nothing is run again");
}

#[test]
fn it_goes_on_where_it_was_interrupted() {
    let soak = Soak::of(&format!(
        "echo call >> \"$CARGO_TARGET_DIR/calls\"\n\
         [ $(wc -l < \"$CARGO_TARGET_DIR/calls\") != 5 ] || kill -9 $PPID\n{WELL}"
    ));
    assert!(!soak.run(&[]).1, "it is killed in its fifth run");
    assert_eq!(soak.calls().len(), 5);
    let (out, well) = soak.run(&[]);
    assert!(well, "{out}");
    assert_eq!(soak.calls().len(), 9, "four were finished, the fifth is run again: {out}");
    assert!(soak.run(&[]).1);
    assert_eq!(soak.calls().len(), 9, "all are finished");
    assert!(soak.run(&["--restart"]).1);
    assert_eq!(soak.calls().len(), 17);

    // Another suite is no continuation.
    let other = Soak { suite: format!("true; {}", soak.suite), ..soak };
    assert!(other.run(&[]).1);
    assert_eq!(other.calls().len(), 25);
}

#[test]
fn two_at_once_would_count_each_others_runs() {
    let soak = Soak::of(&format!("while [ ! -e \"$CARGO_TARGET_DIR/go\" ]; do sleep 0.05; done; {WELL}"));
    let mut first = soak.command(&[]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while !soak.file("soak/01.log").exists() {
        std::thread::sleep(std::time::Duration::from_millis(20));
        assert!(first.try_wait().unwrap().is_none(), "it ended");
    }
    let second = soak.command(&[]).output().unwrap();
    assert!(!second.status.success());
    assert!(String::from_utf8_lossy(&second.stderr).contains("another soak runs"));
    fs::write(soak.file("go"), "").unwrap();
    assert!(first.wait().unwrap().success());
}
