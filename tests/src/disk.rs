//! A disk that is slow, or hangs: a FUSE file system over a folder, whose operations wait as a test says.
//!
//! It is mounted in a mount namespace of the calling thread, which the processes that this thread starts share and nobody
//! else sees. With the last of them it goes, whatever happened. Deliberately absent: what a disk does to data; nothing is
//! lost on it.

mod files;
mod gate;

use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use fuser::{BackgroundSession, Config, MountOption, Session, SessionACL};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use tempfile::TempDir;

use files::Files;
use gate::Gate;
pub use gate::{Pace, Rule, Work};

/// A disk. Dropping it lets go whoever waits, and shows the folder again that it covered.
#[derive(Debug)]
pub struct Disk {
    gate: Arc<Gate>,
    at: std::path::PathBuf,
    // The session must be asked to end before its folder goes.
    _session: BackgroundSession,
    _folder: TempDir,
}

impl Disk {
    /// Puts the folder `at` on a disk of its own, which has what the folder had and is prompt at first. Only this thread
    /// and what it starts from now on see it.
    ///
    /// # Errors
    /// Where this process may mount nothing: without root, or without `/dev/fuse`.
    pub fn under(at: &Path) -> io::Result<Self> {
        unshare(CloneFlags::CLONE_NEWNS)?;
        // What is mounted here stays here.
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;
        let folder = tempfile::tempdir()?;
        let copied = Command::new("cp").arg("-a").arg(at.join(".")).arg(folder.path()).status()?;
        if !copied.success() {
            return Err(io::Error::other(format!("{} can't be copied", at.display())));
        }
        let gate = Arc::new(Gate::default());
        let mut config = Config::default();
        config.acl = SessionACL::All;
        config.mount_options = vec![MountOption::FSName("surge-tests".into()), MountOption::DefaultPermissions];
        let files = Files::new(folder.path(), Arc::clone(&gate));
        let session = Session::new(files, at, &config)?.spawn()?;
        Ok(Self { gate, at: at.to_owned(), _session: session, _folder: folder })
    }

    /// From now on the first rule that fits decides how long an operation takes. What waits now is looked at again.
    pub fn set(&self, rules: Vec<Rule>) {
        self.gate.set(rules);
    }

    /// Operations that wait now.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.gate.waiting()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.gate.set(Vec::new());
        // In another thread than the one that mounted it, it is not there; it goes with the namespace then.
        let _ = umount2(&self.at, MntFlags::MNT_DETACH);
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::{Read, Seek, Write};
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::network::wait_for;

    /// A folder on a disk; `None` where there can't be one.
    fn disk() -> Option<(TempDir, Disk)> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("before"), "it was there").unwrap();
        match Disk::under(folder.path()) {
            Ok(disk) => Some((folder, disk)),
            Err(error) => {
                println!("this user can have no disk of its own here: {error}");
                None
            }
        }
    }

    #[test]
    fn it_is_a_file_system_like_others() {
        let Some((folder, disk)) = disk() else { return };
        let at = |name: &str| folder.path().join(name);
        assert_eq!(fs::read_to_string(at("before")).unwrap(), "it was there");
        fs::create_dir_all(at("a/b")).unwrap();
        let mut file = File::options().read(true).write(true).create_new(true).open(at("a/b/file")).unwrap();
        assert!(File::options().write(true).create_new(true).open(at("a/b/file")).is_err());
        file.write_all(&[7; 300_000]).unwrap();
        file.sync_all().unwrap();
        file.rewind().unwrap();
        let mut back = Vec::new();
        file.read_to_end(&mut back).unwrap();
        assert_eq!(back, [7; 300_000]);
        file.set_len(5).unwrap();
        fs::set_permissions(at("a/b/file"), fs::Permissions::from_mode(0o600)).unwrap();
        let about = fs::metadata(at("a/b/file")).unwrap();
        assert_eq!((about.len(), about.permissions().mode() & 0o777), (5, 0o600));
        fs::rename(at("a/b"), at("c")).unwrap();
        assert_eq!(fs::read(at("c/file")).unwrap(), [7; 5]);
        fs::hard_link(at("c/file"), at("c/link")).unwrap();
        std::os::unix::fs::symlink("file", at("c/soft")).unwrap();
        assert_eq!(fs::read(at("c/soft")).unwrap(), fs::read(at("c/link")).unwrap());
        let mut names: Vec<_> = fs::read_dir(at("c")).unwrap().map(|it| it.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["file", "link", "soft"]);
        for name in ["file", "link", "soft"] {
            fs::remove_file(at("c").join(name)).unwrap();
        }
        fs::remove_dir(at("c")).unwrap();
        assert_eq!(fs::metadata(at("c")).unwrap_err().kind(), io::ErrorKind::NotFound);

        let _listener = UnixListener::bind(at("socket")).unwrap();
        UnixStream::connect(at("socket")).expect("sockets are found by their file");
        let db = rusqlite::Connection::open(at("db")).unwrap();
        db.execute_batch("PRAGMA journal_mode=WAL; CREATE TABLE t(n); INSERT INTO t VALUES (3);").unwrap();
        assert_eq!(db.query_row("SELECT n FROM t", [], |row| row.get(0)), Ok(3));
        drop((db, disk));
        assert!(!at("db").exists(), "it is gone with all that was written to it");
    }

    #[test]
    fn who_syncs_waits_until_it_is_let_go() {
        let Some((folder, disk)) = disk() else { return };
        let path = folder.path().join("file");
        disk.set(vec![Rule { work: Work::Sync, under: None, pace: Pace::Hangs }]);
        // This thread was started in the disk's namespace.
        let writer = thread::spawn(move || {
            let mut file = File::create(path).unwrap();
            file.write_all(b"written").unwrap();
            file.sync_all().unwrap();
        });
        wait_for("the sync", || (disk.waiting() == 1).then_some(()));
        assert_eq!(fs::read(folder.path().join("file")).unwrap(), b"written", "others go on meanwhile");
        assert!(!writer.is_finished());
        disk.set(Vec::new());
        writer.join().unwrap();
    }

    #[test]
    fn one_file_hangs_and_the_others_do_not() {
        let Some((folder, disk)) = disk() else { return };
        let hanging = folder.path().join("before");
        disk.set(vec![
            Rule { work: Work::Write, under: None, pace: Pace::Slow(Duration::from_millis(1)) },
            Rule { work: Work::Any, under: Some("before".into()), pace: Pace::Hangs },
        ]);
        let reader = thread::spawn(move || fs::read_to_string(hanging).unwrap());
        wait_for("the look", || (disk.waiting() == 1).then_some(()));
        fs::write(folder.path().join("other"), "x").unwrap();
        disk.set(Vec::new());
        assert_eq!(reader.join().unwrap(), "it was there");
    }
}
