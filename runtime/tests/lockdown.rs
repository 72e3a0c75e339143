//! What a program that broke out of the engine could do: each escape gets through without the lock-down and is refused
//! with it. (Hostile case 65.)
//!
//! The escapes are tried by the shipped worker itself, in a process for each.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "tests")]

use std::process::{Command, Output, Stdio};

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use surge_protocol::frame::{Lockdown, NO_LOCKDOWN_STATUS};

const WORKER: &str = env!("CARGO_BIN_EXE_surge-worker");

/// What some systems deny to everybody or to this user, so that it can't be shown there that the lock-down is the reason.
const DENIED_ELSEWHERE: [&str; 8] =
    ["user_namespace", "mount", "io_uring", "keyring", "bpf", "perf", "capabilities", "merge_memory"];
/// What the rule set over files, ports and signals refuses by itself, with a kernel of any age that has one.
const FILES: [&str; 5] = ["read_file", "write_file", "list_folder", "exec", "read_own_memory_file"];

fn probe(arguments: &[&str]) -> Output {
    Command::new(WORKER).arg("--probe").args(arguments).env_clear().stdin(Stdio::null()).output().unwrap()
}

fn probes() -> Vec<String> {
    String::from_utf8(probe(&[]).stdout).unwrap().lines().map(str::to_owned).collect()
}

/// Whether the escape got through; a process that was killed did not.
fn through(name: &str, wall: &str) -> (bool, String) {
    let output = probe(&[name, wall]);
    assert_ne!(output.status.code(), Some(2), "{name} {wall}: {}", String::from_utf8_lossy(&output.stderr));
    (output.status.success(), String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[test]
fn every_escape_gets_through_without_the_lock_down_and_none_with_it() {
    let names = probes();
    assert!(names.len() >= 28, "{names:?}");
    for name in &names {
        let (open, why) = through(name, "open");
        match open {
            true => {}
            false if DENIED_ELSEWHERE.contains(&name.as_str()) => {
                println!("{name}: this system denies it anyway: {why}")
            }
            false => panic!("{name} can't be tried here: {why}"),
        }
        let (escaped, why) = through(name, "running");
        assert!(!escaped, "{name} got through while a program runs");
        assert!(why.contains("Operation not permitted"), "{name}: {why}");
        // Until the module is compiled, code may be made; nothing else may be done then either.
        let (escaped, why) = through(name, "reading");
        assert_eq!(escaped, name == "new_code", "{name}, before the module is read: {why}");
    }
}

/// The two walls do not lean on each other.
#[test]
fn files_are_out_of_reach_by_landlock_alone() {
    let (reached, why) = through("read_file", "files");
    if reached {
        println!("this kernel has no landlock: the worker says so, and runs only where its owner allows it");
        return;
    }
    assert!(why.contains("Permission denied"), "{why}");
    for name in FILES {
        assert!(!through(name, "files").0, "{name}");
    }
}

/// What the list of calls does not let through is not all: the rights behind it are gone too.
#[test]
fn the_superuser_has_no_rights_left() {
    let (held, why) = through("capabilities", "files");
    assert!(!held && why.contains("permission denied"), "{why}");
}

#[test]
fn what_is_no_probe_is_refused_in_words() {
    let unknown = probe(&["read_mind", "open"]);
    assert!(!unknown.status.success() && String::from_utf8_lossy(&unknown.stdout).contains("no probe read_mind"));
    assert_eq!(probe(&["read_file", "half"]).status.code(), Some(2));
}

/// What an engine asks before it takes a task.
#[test]
fn how_far_it_goes_is_said_without_a_task() {
    let output = Command::new(WORKER).arg("--lockdown").env_clear().stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    let landlock = !through("read_file", "files").0;
    let expected = if landlock { "full\n\n" } else { "seccomp-only\n" };
    assert!(said.starts_with(expected), "{said:?} where landlock is there: {landlock}");
    let probe = surge_supervisor::probe_lockdown(WORKER.as_ref()).unwrap();
    assert!(probe.allows(Lockdown::SeccompOnly), "{probe:?}");
    assert_eq!((probe.allows(Lockdown::Full), probe.missing.is_empty()), (landlock, landlock));
}

/// Has `call` fail with ENOMEM in this thread, and in what is started from it.
fn without_memory_for(call: libc::c_long) {
    let no_memory = SeccompAction::Errno(libc::ENOMEM.unsigned_abs());
    let here = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new([(call, vec![])].into(), SeccompAction::Allow, no_memory, here).unwrap();
    let program: BpfProgram = filter.try_into().unwrap();
    seccompiler::apply_filter(&program).unwrap();
}

/// A machine that is short of memory for a moment does not count as one that can't lock workers down.
#[test]
fn a_lack_of_memory_is_told_apart_from_a_refusal() {
    if through("read_file", "files").0 {
        println!("this kernel has no landlock: the call that could lack memory is never made");
        return;
    }
    let tried = std::thread::spawn(|| {
        without_memory_for(libc::SYS_landlock_restrict_self);
        let output = Command::new(WORKER).arg("--lockdown").env_clear().stdin(Stdio::null()).output().unwrap();
        (output, surge_supervisor::probe_lockdown(WORKER.as_ref()))
    });
    let (output, probe) = tried.join().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("Cannot allocate memory"), "{said}");
    assert_eq!(output.status.code(), Some(1), "not {NO_LOCKDOWN_STATUS}: {said}");
    assert!(probe.is_err(), "{probe:?}");
}
