//! What a process is doing, by the states of all its threads: the first one may wait for another that computes.

use std::fs;

use super::super::Activity;

/// By `/proc`; `Gone` where there is no such process.
pub(super) fn of(pid: u32) -> Activity {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let states: Vec<_> = threads.filter_map(|thread| state(&fs::read(thread.path().join("stat")).ok()?)).collect();
    let any = |wanted: &[u8]| states.iter().any(|state| wanted.contains(state));
    if any(b"RD") {
        Activity::Running
    } else if any(b"Tt") {
        // A signal that stops a process stops all of its threads.
        Activity::Suspended
    } else if any(b"SI") {
        Activity::Waiting
    } else {
        Activity::Gone
    }
}

/// The state in a line of `/proc/PID/stat`.
fn state(stat: &[u8]) -> Option<u8> {
    // The second field is the program's name in parentheses, which may itself hold parentheses and spaces.
    let end = stat.iter().rposition(|&byte| byte == b')')?;
    stat.get(end + 2).copied()
}
