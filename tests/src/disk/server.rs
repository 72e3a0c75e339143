//! The process behind a disk: it mounts the file system, serves it, and takes rules on its standard input.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use fuser::{Config, MountOption, Session, SessionACL};
use rustix::process::{Signal, set_parent_process_death_signal};

use super::files::Files;
use super::gate::{Gate, Rule};

/// The first line that it prints when the disk is there; another says why it isn't.
pub(super) const READY: &str = "ready";
/// Asks how many operations wait. Every other line is the rules that hold from then on.
pub(super) const WAITING: &str = "waiting";

/// Serves `folder` at the mount point `at` until standard input closes, or until the thread that started it has ended.
///
/// # Errors
/// When nobody reads what it prints any more.
pub fn serve(folder: &Path, at: &Path) -> io::Result<()> {
    // That thread may wait for this disk itself, with its end of the pipe in its hand.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let gate = Arc::new(Gate::default());
    let mut out = io::stdout();
    let session = mounted(Files::new(folder, Arc::clone(&gate)), at).and_then(Session::spawn);
    let _session = match session {
        Ok(session) => session,
        Err(error) => return writeln!(out, "{error}"),
    };
    writeln!(out, "{READY}")?;
    for line in io::stdin().lines() {
        let line = line?;
        if line == WAITING {
            writeln!(out, "{}", gate.waiting())?;
            continue;
        }
        match serde_json::from_str::<Vec<Rule>>(&line) {
            Ok(rules) => {
                gate.set(rules);
                writeln!(out)?;
            }
            Err(error) => writeln!(out, "{error}")?,
        }
    }
    Ok(())
}

fn mounted(files: Files, at: &Path) -> io::Result<Session<Files>> {
    let mut config = Config::default();
    config.acl = SessionACL::All;
    config.mount_options = vec![MountOption::FSName("surge-tests".into()), MountOption::DefaultPermissions];
    Session::new(files, at, &config)
}
