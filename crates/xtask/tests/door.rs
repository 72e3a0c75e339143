//! `./x` on a machine without a C compiler: it installs one beside other package managers, and says what stands in its way.

#![expect(clippy::unwrap_used, reason = "a test that can't go on says where")]

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rustix::fs::{FlockOperation, fcntl_lock};
use tempfile::TempDir;

#[path = "../../../tests/src/executable.rs"]
#[expect(unreachable_pub, reason = "it is a piece of the whole-system tests")]
mod executable;

/// What the door needs of a minimal system.
const TOOLS: [&str; 13] =
    ["sh", "dirname", "id", "env", "stat", "awk", "cat", "sed", "head", "sleep", "touch", "seq", "chmod"];

/// A machine: a folder that is the whole PATH, with a cargo that says how it was called.
struct Machine(TempDir);

impl Machine {
    /// Its apt-get runs `script` in the machine's folder.
    fn new(apt_get: &str) -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        let path = std::env::var_os("PATH").unwrap();
        for tool in TOOLS {
            let found = std::env::split_paths(&path).map(|folder| folder.join(tool)).find(|it| it.is_file());
            symlink(found.unwrap_or_else(|| panic!("no {tool}")), machine.file(tool)).unwrap();
        }
        machine.program("cargo", "echo \"cargo $*, updated: ${SURGE_APT_UPDATED:-no}\"");
        machine.program("apt-get", apt_get);
        machine
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn program(&self, name: &str, script: &str) {
        executable::write(&self.file(name), &format!("#!/bin/sh\ncd '{}'\n{script}\n", self.0.path().display()));
    }

    fn door(&self) -> Command {
        let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../x"));
        command.arg("tidy").env_clear().env("PATH", self.0.path()).env("HOME", self.0.path()).stdin(Stdio::null());
        command
    }

    /// Standard output, standard error, and whether it went well.
    fn open(&self) -> (String, String, bool) {
        let Output { status, stdout, stderr } = self.door().output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (text(stdout), text(stderr), status.success())
    }
}

const INSTALLS: &str = "echo \"$*\" >> calls; case $* in *install*) touch cc; chmod 755 cc;; esac";

#[test]
fn it_installs_a_compiler_and_hands_over() {
    let machine = Machine::new(INSTALLS);
    machine.program("sudo", "exec \"$@\"");
    let (out, err, well) = machine.open();
    assert!(well, "{err}");
    assert_eq!(out, "cargo xtask tidy, updated: 1\n");
    let calls = fs::read_to_string(machine.file("calls")).unwrap();
    let calls: Vec<_> = calls.lines().collect();
    assert_eq!(calls.len(), 2, "{calls:?}");
    for (call, wanted) in calls.iter().zip(["update", "install -y --no-install-recommends build-essential pkg-config"])
    {
        assert!(call.contains("DPkg::Lock::Timeout=300") && call.ends_with(wanted), "{call}");
    }
    let again = machine.open();
    assert_eq!((again.0.as_str(), again.1.as_str()), ("cargo xtask tidy, updated: no\n", ""), "nothing is done twice");
}

#[test]
fn a_lock_that_apt_get_does_not_wait_for_is_waited_for_by_name() {
    let busy = "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 4711 (unattended-upgr)";
    let script = format!("[ -e free ] || {{ touch free; echo '{busy}' >&2; exit 100; }}\n{INSTALLS}");
    let machine = Machine::new(&script);
    machine.program("sudo", "exec \"$@\"");
    let (out, err, well) = machine.open();
    assert!(well && out.starts_with("cargo xtask tidy"), "{err}");
    assert!(err.contains("x: waiting for another package manager (4711, unattended-upgr) ..."), "{err}");
}

#[test]
fn a_failure_is_told_in_apt_gets_words_with_the_command_to_run_by_hand() {
    let machine = Machine::new("echo \"E: The repository does not have a Release file: $*\" >&2; exit 100");
    machine.program("sudo", "exec \"$@\"");
    let (out, err, well) = machine.open();
    assert!(!well && out.is_empty(), "{out}");
    assert!(err.contains("E: The repository does not have a Release file"), "{err}");
    let sudo = if rustix::process::getuid().is_root() { "" } else { "sudo " };
    let by_hand = format!("x: By hand: {sudo}apt-get install -y --no-install-recommends build-essential pkg-config\n");
    assert!(err.ends_with(&by_hand), "{err}");
}

#[test]
fn without_sudo_the_command_for_root_is_named() {
    let machine = Machine::new(INSTALLS);
    machine.program("id", "echo 1000");
    let (out, err, well) = machine.open();
    assert!(!well && out.is_empty(), "{out}");
    assert!(err.contains("As root, run: apt-get update && apt-get install build-essential pkg-config"), "{err}");
    assert!(!machine.file("calls").exists());
}

/// With the lock of this system's package manager, where this user may have it.
#[test]
fn who_holds_the_real_lock_is_named_before_apt_get_is_called() {
    let lock = File::options().write(true).open("/var/lib/dpkg/lock-frontend");
    let Some(lock) = lock.ok().filter(|lock| fcntl_lock(lock, FlockOperation::NonBlockingLockExclusive).is_ok()) else {
        println!("this user can't have the lock of this system's package manager");
        return;
    };
    let machine = Machine::new(INSTALLS);
    let mut door = machine.door().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(door.stderr.take().unwrap()).lines().map(Result::unwrap);
    let own = format!("x: waiting for another package manager ({}, ", std::process::id());
    assert!(lines.any(|line| line.starts_with(&own)), "it went past the lock");
    assert!(!machine.file("calls").exists(), "apt-get waits in silence");
    drop(lock);
    assert!(lines.all(|line| !line.contains("failed")));
    assert!(door.wait().unwrap().success());
}
