//! `apt-get` beside other package managers: it waits for their locks and says so, and tells a failure in apt-get's own
//! words with the command to run by hand.
//!
//! apt-get itself waits for dpkg's lock when it is asked to (`DPkg::Lock::Timeout`), but silently with `-qq`, and never for
//! the locks of the package lists and of the archives: there it fails at once, and is tried again here.

use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::run::{installed, say};

/// How long another package manager may take. The first upgrade of a new machine takes minutes.
const PATIENCE: Duration = Duration::from_secs(300);
/// What package managers lock, in the order in which apt-get does.
const LOCKS: [&str; 4] =
    ["/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock", "/var/lib/apt/lists/lock", "/var/cache/apt/archives/lock"];
/// Between two looks at apt-get, and at the locks.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const LOOK_AT_LOCKS_EVERY: Duration = Duration::from_secs(1);
/// Set by `./x` when it has fetched the lists of packages a moment ago.
const LISTS_ARE_FRESH: &str = "SURGE_APT_UPDATED";

/// Installs packages, after one update of the lists.
///
/// # Errors
/// When apt-get fails, or when only root may run it and there is no sudo.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    let apt = Apt::of_this_system(packages)?;
    let mut words = |line: String| say(format_args!("{line}"));
    if std::env::var_os(LISTS_ARE_FRESH).is_none() {
        // One broken source of somebody else's packages does not keep ours from being installed.
        if let Err(error) = apt.run(&["update", "-qq"], &mut words) {
            words(format!("going on with the lists of packages that are there: {error:#}"));
        }
    }
    apt.run(&[&["install", "-y", "-qq", "--no-install-recommends"], packages].concat(), &mut words)
}

struct Apt {
    /// What comes before `apt-get` on the command line.
    before: Vec<&'static str>,
    program: PathBuf,
    locks: Vec<PathBuf>,
    patience: Duration,
}

impl Apt {
    fn of_this_system(packages: &[&str]) -> Result<Self> {
        let root = rustix::process::getuid().is_root();
        if !root && !installed("sudo") {
            bail!(
                "there is no sudo. As root, run `apt-get update && apt-get install --no-install-recommends {}`, then this again",
                packages.join(" ")
            );
        }
        Ok(Self {
            before: if root { Vec::new() } else { vec!["sudo"] },
            program: "apt-get".into(),
            locks: LOCKS.iter().map(PathBuf::from).collect(),
            patience: PATIENCE,
        })
    }

    /// Runs apt-get to its end. `words` hears who is waited for.
    fn run(&self, args: &[&str], words: &mut impl FnMut(String)) -> Result<()> {
        let begun = Instant::now();
        let mut waited_for = None;
        loop {
            let said = match self.attempt(args, &mut waited_for, words)? {
                Ok(()) => return Ok(()),
                Err(said) => said,
            };
            if !is_about_a_lock(&said) || begun.elapsed() >= self.patience {
                bail!("apt-get failed. It says:\n{}\nBy hand: {}", said.trim_end(), self.by_hand(args));
            }
            if let Some(holder) = holder_in(&said) {
                tell(holder, &mut waited_for, words);
            }
            sleep(LOOK_AT_LOCKS_EVERY);
        }
    }

    /// One call of apt-get; what it said when it failed.
    fn attempt(
        &self,
        args: &[&str],
        waited_for: &mut Option<Holder>,
        words: &mut impl FnMut(String),
    ) -> Result<Result<(), String>> {
        let mut command = Command::new(self.before.first().map_or("env", |first| first));
        if !self.before.is_empty() {
            command.arg("env");
        }
        // What it says is looked at.
        command.args(["LC_ALL=C", "DEBIAN_FRONTEND=noninteractive"]).arg(&self.program).args(args);
        command.arg("-o").arg(format!("DPkg::Lock::Timeout={}", self.patience.as_secs()));
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("could not start {}", self.by_hand(args)))?;
        let mut stderr = child.stderr.take().context("it is a pipe")?;
        let reader = std::thread::spawn(move || {
            let mut said = Vec::new();
            // What was read until an error is what there is to tell.
            let _ = stderr.read_to_end(&mut said);
            String::from_utf8_lossy(&said).into_owned()
        });
        let mut looked: Option<Instant> = None;
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if looked.is_none_or(|at| at.elapsed() >= LOOK_AT_LOCKS_EVERY) {
                looked = Some(Instant::now());
                if let Some(holder) = self.holder(child.id()) {
                    tell(holder, waited_for, words);
                }
            }
            sleep(LOOK_EVERY);
        };
        let said = reader.join().unwrap_or_default();
        Ok(if status.success() { Ok(()) } else { Err(format!("{said}({status})")) })
    }

    /// Who holds a lock that our apt-get, process `ours`, may wait for.
    fn holder(&self, ours: u32) -> Option<Holder> {
        let held = fs::read_to_string("/proc/locks").ok()?;
        let inodes = self.locks.iter().filter_map(|lock| Some(fs::metadata(lock).ok()?.ino()));
        let mut holders = inodes.filter_map(|inode| holder_of(&held, inode));
        let pid = holders.find(|pid| !descends_from(*pid, ours))?;
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        Some(Holder { pid, name: name.trim_end().to_owned() })
    }

    fn by_hand(&self, args: &[&str]) -> String {
        let words = self.before.iter().copied().chain(["apt-get"]);
        words.chain(args.iter().copied().filter(|arg| *arg != "-qq")).collect::<Vec<_>>().join(" ")
    }
}

/// Another package manager.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Holder {
    pid: u32,
    name: String,
}

/// Says who is waited for, once for each.
fn tell(holder: Holder, waited_for: &mut Option<Holder>, words: &mut impl FnMut(String)) {
    if waited_for.as_ref() != Some(&holder) {
        words(format!("waiting for another package manager ({}, {}) …", holder.pid, holder.name));
        *waited_for = Some(holder);
    }
}

/// The process that has a file locked, by the kernel's list:
/// `1: POSIX  ADVISORY  WRITE 22603 fe:00:382079 0 EOF`. The device is not compared: file systems that lie on others
/// (overlayfs, btrfs) tell programs another one.
fn holder_of(locks: &str, inode: u64) -> Option<u32> {
    locks.lines().find_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let [_, "POSIX", _, "WRITE", pid, place, ..] = fields.as_slice() else { return None };
        let (_, locked) = place.rsplit_once(':')?;
        (locked.parse() == Ok(inode)).then(|| pid.parse().ok())?
    })
}

/// Whether `pid` is `ancestor` or was started by it, directly or not. sudo stands between us and apt-get.
fn descends_from(pid: u32, ancestor: u32) -> bool {
    let mut pid = pid;
    while pid > 1 {
        if pid == ancestor {
            return true;
        }
        let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else { return false };
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"));
        pid = parent.and_then(|parent| parent.trim().parse().ok()).unwrap_or(0);
    }
    false
}

fn is_about_a_lock(said: &str) -> bool {
    said.contains("Could not get lock") || said.contains("is another process using it?")
}

/// `… It is held by process 22603 (unattended-upgr)`.
fn holder_in(said: &str) -> Option<Holder> {
    let (_, rest) = said.split_once("held by process ")?;
    let (pid, rest) = rest.split_once(" (")?;
    let (name, _) = rest.split_once(')')?;
    Some(Holder { pid: pid.parse().ok()?, name: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::path::Path;

    use rustix::fs::{FlockOperation, fcntl_lock};
    use tempfile::TempDir;

    use super::*;
    use crate::executable;

    /// An apt-get that runs `script`, with a lock of its own.
    fn fake(script: &str) -> (TempDir, Apt) {
        let folder = tempfile::tempdir().unwrap();
        let (program, lock) = (folder.path().join("apt-get"), folder.path().join("lock"));
        fs::write(&lock, "").unwrap();
        executable::write(&program, &format!("#!/bin/sh\ncd '{}'\n{script}\n", folder.path().display()));
        let apt = Apt { before: Vec::new(), program, locks: vec![lock], patience: Duration::from_secs(20) };
        (folder, apt)
    }

    fn locked(path: &Path) -> File {
        let file = File::options().write(true).open(path).unwrap();
        fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive).expect("nobody holds it");
        file
    }

    #[test]
    fn it_waits_for_locks_in_silence_and_says_for_whom() {
        // It ends when it was told for whom it waits, or much later.
        let (folder, apt) = fake("echo \"$@\" > args; for n in $(seq 400); do [ -e told ] || sleep 0.05; done");
        let lock = locked(&apt.locks[0]);
        let mut told = Vec::new();
        let told_file = folder.path().join("told");
        apt.run(&["install", "-qq", "hello"], &mut |line| {
            told.push(line);
            fs::write(&told_file, "").unwrap();
        })
        .unwrap();
        drop(lock);
        let own = std::process::id();
        let name = fs::read_to_string(format!("/proc/{own}/comm")).unwrap();
        assert_eq!(told, [format!("waiting for another package manager ({own}, {}) …", name.trim_end())]);
        let args = fs::read_to_string(folder.path().join("args")).unwrap();
        assert_eq!(args, "install -qq hello -o DPkg::Lock::Timeout=20\n");
    }

    #[test]
    fn locks_that_apt_get_does_not_wait_for_are_waited_for() {
        let busy = "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 4711 (aptd)";
        let (folder, apt) = fake(&format!("[ -e free ] && exit 0; touch free; echo '{busy}' >&2; exit 100"));
        let mut told = Vec::new();
        apt.run(&["update"], &mut |line| told.push(line)).unwrap();
        assert_eq!(told, ["waiting for another package manager (4711, aptd) …"]);
        assert!(folder.path().join("free").exists());
    }

    #[test]
    fn a_failure_is_told_in_its_own_words_with_the_command_to_run_by_hand() {
        let (folder, mut apt) = fake("echo >> calls; echo 'E: Unable to locate package no-such' >&2; exit 100");
        apt.before = vec!["env"];
        let error =
            apt.run(&["install", "-y", "-qq", "no-such"], &mut |line| panic!("{line}")).unwrap_err().to_string();
        assert!(error.contains("E: Unable to locate package no-such") && error.contains("100"), "{error}");
        assert!(error.ends_with("By hand: env apt-get install -y no-such"), "{error}");
        assert_eq!(fs::read_to_string(folder.path().join("calls")).unwrap(), "\n", "it is not tried again");
    }

    #[test]
    fn patience_has_an_end() {
        let (_folder, mut apt) = fake("echo 'E: Could not get lock x. It is held by process 1 (init)' >&2; exit 100");
        apt.patience = Duration::ZERO;
        let error = apt.run(&["update"], &mut |_| {}).unwrap_err().to_string();
        assert!(error.contains("held by process 1 (init)"), "{error}");
    }

    /// The real apt-get and the real lock, where this user may have it.
    #[test]
    fn the_systems_own_apt_get_waits_too() {
        let lock = File::options().write(true).open(LOCKS[0]);
        let free = lock.as_ref().is_ok_and(|lock| fcntl_lock(lock, FlockOperation::NonBlockingLockExclusive).is_ok());
        if !installed("apt-get") || !free {
            println!("this user can't have the lock of this system's package manager");
            return;
        }
        let apt = Apt::of_this_system(&[]).unwrap();
        let mut lock = lock.ok();
        let mut told = 0;
        // It looks at what is installed, and changes nothing.
        apt.run(&["check", "-qq"], &mut |_| {
            told += 1;
            lock = None;
        })
        .unwrap();
        assert_eq!(told, 1, "it went past the lock");
    }

    #[test]
    fn the_kernels_list_names_who_locks_a_file() {
        let locks = "1: FLOCK  ADVISORY  WRITE 5 fe:00:77 0 EOF\n1: -> POSIX  ADVISORY  WRITE 8 fe:00:77 0 EOF\n\
                     2: POSIX  ADVISORY  WRITE 6 fe:00:177 0 EOF\n3: POSIX  ADVISORY  WRITE 7 fe:00:77 0 EOF\n";
        assert_eq!((holder_of(locks, 77), holder_of(locks, 177), holder_of(locks, 7)), (Some(7), Some(6), None));
    }
}
