//! What a case could leave behind in and around the process that supervises it.
//!
//! Deliberately absent: the supervisor's own word. All of it is read from the kernel.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, WaitOptions, waitpid};

/// At one moment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Traces {
    /// Open descriptors of this process, by what they lead to: sockets, pipes and files.
    descriptors: Vec<String>,
    /// Processes that descend from this one, dead but not reaped ones included. This process is the one that inherits
    /// orphans, so that none escapes by a second fork.
    children: Vec<u32>,
    threads: u64,
    /// Everything below the folders that this process may write to.
    files: Vec<PathBuf>,
}

impl Traces {
    pub(crate) fn now(folder: &Path) -> Self {
        let mut files = Vec::new();
        list(folder, &mut files);
        files.sort();
        Self { descriptors: descriptors(), children: children(), threads: own("Threads:"), files }
    }
}

/// Buries orphans as the system's first process does: those of shell scripts that were killed in the middle. A worker that
/// its supervisor did not bury is found before, by whoever ran it.
pub(crate) fn bury_orphans() {
    for pid in children() {
        // One that lives stays, and is a trace.
        let _ = waitpid(Pid::from_raw(pid.cast_signed()), WaitOptions::NOHANG);
    }
}

/// Memory that is this process's alone, KiB. Pages of its program count when they are first touched, and for ever.
pub(crate) fn memory_kib() -> u64 {
    own("RssAnon:")
}

/// A figure from this process's status.
fn own(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

fn descriptors() -> Vec<String> {
    let own = format!("/proc/{}/fd", std::process::id());
    let links = fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
    // Without the folder that is being read.
    let mut open: Vec<String> = links.map(|link| link.display().to_string()).filter(|link| *link != own).collect();
    open.sort();
    open
}

fn children() -> Vec<u32> {
    let own = std::process::id().to_string();
    let pids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    let parent = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1).map(|parent| parent == own)).unwrap_or(false)
    };
    let mut children: Vec<u32> = pids.filter(parent).collect();
    children.sort_unstable();
    children
}

/// Compiled code is kept on purpose, under a name that is a hash; nothing else is.
fn list(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            list(&path, found);
        }
        let code = path.extension().is_some_and(|extension| extension == "code")
            && path
                .file_stem()
                .and_then(|name| name.to_str())
                .is_some_and(|name| name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit()));
        if !code {
            found.push(path);
        }
    }
}
