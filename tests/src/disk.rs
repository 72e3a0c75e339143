//! A disk that is slow, or hangs: a FUSE file system over a folder, whose operations wait as a test says.
//!
//! It is mounted in a mount namespace of the calling thread, which the processes that this thread starts share and nobody
//! else sees; with the last of them it goes, whatever happened. A process of its own serves it: who waits for a file system
//! that its own process serves could not even be killed. Deliberately absent: what a disk does to data; nothing is lost on it.

mod files;
mod folder;
mod gate;
mod server;

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use tempfile::TempDir;

use crate::network::program;
pub use gate::{Pace, Rule, Work};
pub use server::serve;

/// A disk. Dropping it lets go whoever waits, and shows the folder again that it covered.
#[derive(Debug)]
pub struct Disk {
    at: PathBuf,
    /// What is on the disk, seen past it.
    folder: TempDir,
    server: Child,
    talk: Mutex<Talk>,
}

/// Both ends of a conversation in which each line is answered by one.
#[derive(Debug)]
struct Talk {
    says: ChildStdin,
    hears: BufReader<ChildStdout>,
}

impl Disk {
    /// Puts the folder `at` on a disk of its own, which has what the folder had and is prompt at first. Only this thread
    /// and what it starts from now on see it, and it ends with this thread.
    ///
    /// # Errors
    /// Where this process may mount nothing: without root, or without `/dev/fuse`.
    ///
    /// # Panics
    /// When the program that serves it is not built.
    pub fn under(at: &Path) -> io::Result<Self> {
        unshare(CloneFlags::CLONE_NEWNS)?;
        // What is mounted here stays here.
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;
        let folder = tempfile::tempdir()?;
        let copied = Command::new("cp").arg("-a").arg(at.join(".")).arg(folder.path()).status()?;
        if !copied.success() {
            return Err(io::Error::other(format!("{} can't be copied", at.display())));
        }
        // The mount point's own rights hold, whatever those of a folder for temporary files are.
        fs::set_permissions(folder.path(), fs::metadata(at)?.permissions())?;
        let mut server = Command::new(program("slow-disk"));
        let mut server = server.arg(folder.path()).arg(at).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let pipes = server.stdin.take().zip(server.stdout.take());
        let (says, hears) = pipes.ok_or_else(|| io::Error::other("they are pipes"))?;
        let mut talk = Talk { says, hears: BufReader::new(hears) };
        let ready = talk.hear()?;
        let disk = Self { at: at.to_owned(), folder, server, talk: Mutex::new(talk) };
        if ready == server::READY { Ok(disk) } else { Err(io::Error::other(ready)) }
    }

    /// From now on the first rule that fits decides how long an operation takes. What waits now is looked at again.
    ///
    /// # Panics
    /// When the disk's server is gone.
    pub fn set(&self, rules: &[Rule]) {
        let line = serde_json::to_string(rules).expect("plain");
        self.ask(&line);
    }

    /// Operations that wait now.
    ///
    /// # Panics
    /// When the disk's server is gone.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.ask(server::WAITING).parse().expect("a number")
    }

    /// What is on the disk, seen past it: this never waits.
    #[must_use]
    pub fn behind(&self) -> &Path {
        self.folder.path()
    }

    fn ask(&self, line: &str) -> String {
        let mut talk = self.talk.lock().unwrap_or_else(PoisonError::into_inner);
        talk.ask(line).expect("the disk's server lives as long as the disk")
    }
}

impl Talk {
    fn ask(&mut self, line: &str) -> io::Result<String> {
        writeln!(self.says, "{line}")?;
        self.says.flush()?;
        self.hear()
    }

    fn hear(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.hears.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Who waits goes on, and is not told of an error. A server that never was there lets nobody wait.
        let talk = self.talk.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = talk.ask("[]");
        let _ = umount2(&self.at, MntFlags::MNT_DETACH);
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

#[cfg(test)]
mod tests;
