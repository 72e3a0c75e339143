//! A login session as the kernel and the login service show one: a control group with its name, and its file. It stands in
//! for the login service, so that an engine that belongs to no session hears of this one alone.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use rustix::process::getuid;

use crate::command::through;
use crate::screen::Server;

/// Where the groups of systemd are: of their own, or the one hierarchy of all.
const HIERARCHIES: [&str; 2] = ["/sys/fs/cgroup/systemd", "/sys/fs/cgroup"];
/// Where the login service keeps a file for each session.
const SESSIONS: &str = "/run/systemd/sessions";

/// A session that ends with this value.
#[derive(Debug)]
pub(super) struct Login {
    file: PathBuf,
    /// The highest of the groups that were made for it, and its own.
    top: PathBuf,
    group: PathBuf,
}

impl Login {
    /// # Errors
    /// When this is not the superuser, who alone may make one.
    pub(super) fn new() -> Result<Self> {
        let name = format!("bench{}", std::process::id());
        let uid = getuid().as_raw();
        let hierarchy = HIERARCHIES.into_iter().find(|folder| Path::new(folder).join("cgroup.procs").exists());
        // Below a group of its own, so that nothing is put among what systemd keeps.
        let top = Path::new(hierarchy.context("there are no control groups")?).join(format!("surge-{name}"));
        let group = top.join("user.slice").join(format!("user-{uid}.slice")).join(format!("session-{name}.scope"));
        let file = Path::new(SESSIONS).join(&name);
        let made = || -> io::Result<()> {
            fs::create_dir_all(&group)?;
            fs::create_dir_all(SESSIONS)?;
            fs::write(&file, format!("UID={uid}\nSTATE=active\n"))
        };
        made().context("a login session can't be made: only root may, where control groups can be written")?;
        Ok(Self { file, top, group })
    }

    /// Starts a program inside the session.
    ///
    /// # Errors
    /// When it can't be started.
    pub(super) fn start(&self, program: &Command) -> Result<Server> {
        let mut command = Command::new("sh");
        command.args(["-c", r#"echo $$ > "$0" && exec "$@""#]).arg(self.group.join("cgroup.procs"));
        let child = through(command, program).stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        Ok(Server(child.context("a program can't be started in the session")?))
    }
}

impl Drop for Login {
    fn drop(&mut self) {
        // What is left of them is named after a process that has ended: it does no harm.
        let _ = fs::remove_file(&self.file);
        let groups = self.group.ancestors().take_while(|group| group.starts_with(&self.top));
        groups.for_each(|group| drop(fs::remove_dir(group)));
    }
}
