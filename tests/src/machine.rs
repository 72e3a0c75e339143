//! A machine that boots systemd: a container with a system of its own, in which packages' files lie where packages put them.
//!
//! It shares this machine's network, so that programs of a test network are reached from inside. Deliberately absent: making
//! the system's folder, which `cargo xtask systemd` does once.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use rustix::process::{Pid, Signal, kill_process};

use crate::network::{Running, program};

/// What the slowest step takes, ten times over.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a container of systemd 252 does not let through, and workers need to lock themselves down.
const LOCK_DOWN: &str = "landlock_create_ruleset landlock_add_rule landlock_restrict_self";

/// What is installed: from where in the repository, and to where.
const FILES: &[(&str, &str)] = &[
    ("systemd/system/surge.service", "usr/lib/systemd/system/surge.service"),
    ("systemd/user/surge.service", "usr/lib/systemd/user/surge.service"),
    ("systemd/user/surge-session.service", "usr/lib/systemd/user/surge-session.service"),
    ("systemd/system.preset", "usr/lib/systemd/system-preset/80-surge.preset"),
    ("systemd/user.preset", "usr/lib/systemd/user-preset/80-surge.preset"),
    ("systemd/surge.sysusers", "usr/lib/sysusers.d/surge.conf"),
    ("systemd/surge.tmpfiles", "usr/lib/tmpfiles.d/surge.conf"),
    ("xdg/autostart/surge-session.desktop", "etc/xdg/autostart/surge-session.desktop"),
];

/// The programs of a headless package.
pub const PROGRAMS: [&str; 2] = ["surge", "surge-worker"];

/// Where the prepared system is, unless said otherwise: beside the built programs.
///
/// # Panics
/// Never: a built program lies in a folder.
#[must_use]
pub fn usual_root() -> PathBuf {
    let profile = program("surge");
    let target = profile.ancestors().nth(2).expect("target/PROFILE/surge");
    target.join("systemd/root")
}

/// Why no machine can be booted here; `None` when one can.
#[must_use]
pub fn why_not(root: &Path) -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("only root can boot a container".into());
    }
    let installed = |name: &str| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
    };
    if let Some(missing) = ["systemd-nspawn", "nsenter"].into_iter().find(|name| !installed(name)) {
        return Some(format!("{missing} is not installed: `cargo xtask systemd` installs it"));
    }
    if !root.join("lib/systemd/systemd").exists() {
        return Some(format!("there is no system in {}: `cargo xtask systemd` makes it", root.display()));
    }
    None
}

/// A booted machine. It ends with this value, and leaves nothing.
#[derive(Debug)]
pub struct Machine {
    folder: tempfile::TempDir,
    /// The container's first process.
    init: Pid,
    nspawn: Running,
}

impl Machine {
    /// Boots a copy of the system in `root` with Surge installed, and waits until it is up.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn boot(root: &Path) -> Result<Self> {
        let beside = root.parent().context("the system's folder lies in a folder")?;
        let folder = tempfile::Builder::new().prefix("machine-").tempdir_in(beside)?;
        let part = |name: &str| folder.path().join(name);
        for name in ["changes", "work", "system"] {
            fs::create_dir(part(name))?;
        }
        // What is written goes to a layer of its own: the prepared system stays as it is.
        let layers = format!(
            "lowerdir={},upperdir={},workdir={}",
            root.display(),
            part("changes").display(),
            part("work").display()
        );
        let layers = std::ffi::CString::new(layers)?;
        mount("overlay", part("system"), "overlay", MountFlags::empty(), layers.as_c_str()).context("overlayfs")?;
        let booted = install(&part("system")).and_then(|()| start(&part("system"), &part("console.log")));
        let (nspawn, init) = match booted {
            Ok(booted) => booted,
            Err(error) => {
                let _ = unmount(part("system"), UnmountFlags::DETACH);
                return Err(error);
            }
        };
        let machine = Self { folder, init, nspawn };
        machine.wait("the end of the boot", || {
            let state = machine.try_run(&["systemctl", "is-system-running"]).map(|told| told.out.trim().to_owned());
            Ok(matches!(state.as_deref(), Ok("running" | "degraded")).then_some(()))
        })?;
        Ok(machine)
    }

    /// A path inside, as it is seen from outside.
    #[must_use]
    pub fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join("system").join(inside.trim_start_matches('/'))
    }

    /// Puts a program in place of the one that is there, as a package manager does: running processes keep the old one.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn install_program(&self, from: &Path, name: &str) -> Result<()> {
        put(from, &self.path(&format!("/usr/bin/{name}")), 0o755)
    }

    /// A command inside, as root.
    #[must_use]
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.init.as_raw_nonzero().to_string(), "--all", "--root", "--"]);
        command.args(["env", "--chdir=/"]).args(args);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").stdin(Stdio::null());
        command
    }

    /// A command inside, as `user`.
    #[must_use]
    pub fn command_as(&self, user: &str, args: &[&str]) -> Command {
        self.command(&[&["setpriv", "--reuid", user, "--regid", user, "--init-groups", "--"], args].concat())
    }

    /// Runs a command inside to its end, as root.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn try_run(&self, args: &[&str]) -> Result<Told> {
        Told::of(&mut self.command(args))
    }

    /// Runs a command inside that must succeed, as root; what it printed.
    ///
    /// # Errors
    /// When it fails.
    pub fn run(&self, args: &[&str]) -> Result<String> {
        self.try_run(args)?.well(args)
    }

    /// The same as `user`.
    ///
    /// # Errors
    /// When it fails.
    pub fn run_as(&self, user: &str, args: &[&str]) -> Result<String> {
        Told::of(&mut self.command_as(user, args))?.well(args)
    }

    /// A property of a system unit.
    ///
    /// # Errors
    /// When systemd does not answer.
    pub fn property(&self, unit: &str, name: &str) -> Result<String> {
        Ok(self.run(&["systemctl", "show", "--value", "--property", name, unit])?.trim().to_owned())
    }

    /// Looks until something is there.
    ///
    /// # Errors
    /// When it does not appear, or the look fails.
    pub fn wait<T>(&self, what: &str, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(found) = look()? {
                return Ok(found);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("waited in vain for {what}")
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // With its first process all others end.
        let _ = kill_process(self.init, Signal::KILL);
        let _ = self.nspawn.0.wait();
        let _ = unmount(self.folder.path().join("system"), UnmountFlags::DETACH);
    }
}

/// What a command said.
#[derive(Debug)]
pub struct Told {
    pub status: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Told {
    /// Runs `command` to its end.
    ///
    /// # Errors
    /// When it does not start.
    pub fn of(command: &mut Command) -> Result<Self> {
        let done = command.output().with_context(|| format!("{command:?}"))?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(Self { status: done.status.code(), out: text(done.stdout), err: text(done.stderr) })
    }

    fn well(self, args: &[&str]) -> Result<String> {
        ensure!(self.status == Some(0), "{args:?} ended with {:?}: {}{}", self.status, self.out, self.err);
        Ok(self.out)
    }
}

fn install(system: &Path) -> Result<()> {
    let installers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../installers");
    for (from, to) in FILES {
        put(&installers.join(from), &system.join(to), 0o644)?;
    }
    for name in PROGRAMS {
        put(&program(name), &system.join("usr/bin").join(name), 0o755)?;
    }
    // Nobody looks at its console, and input there would be presence.
    let masked = system.join("etc/systemd/system/console-getty.service");
    let _ = fs::remove_file(&masked);
    symlink("/dev/null", masked)?;
    Ok(())
}

/// Puts a file there whole or not at all, in a new inode.
fn put(from: &Path, to: &Path, mode: u32) -> Result<()> {
    let folder = to.parent().context("a file lies in a folder")?;
    fs::create_dir_all(folder)?;
    let new = folder.join(".new");
    fs::copy(from, &new).with_context(|| from.display().to_string())?;
    fs::set_permissions(&new, fs::Permissions::from_mode(mode))?;
    fs::rename(&new, to)?;
    Ok(())
}

fn start(system: &Path, console: &Path) -> Result<(Running, Pid)> {
    let console = fs::File::create(console)?;
    let nspawn = Command::new("systemd-nspawn")
        .args(["--quiet", "--boot", "--register=no", "--keep-unit", "--console=read-only", "--resolv-conf=off"])
        .arg(format!("--system-call-filter={LOCK_DOWN}"))
        .arg("--directory")
        .arg(system)
        .stdin(Stdio::null())
        .stdout(console.try_clone()?)
        .stderr(console)
        .spawn()
        .context("systemd-nspawn")?;
    let nspawn = Running(nspawn);
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Some(init) = init_of(nspawn.0.id()) {
            return Ok((nspawn, init));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    bail!("the container has no first process")
}

/// The container's first process: a descendant that is number 1 in a process namespace of its own.
fn init_of(parent: u32) -> Option<Pid> {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    children.split_whitespace().filter_map(|pid| pid.parse().ok()).find_map(|pid: u32| {
        let first = first_in_namespace(pid).unwrap_or(false);
        if first { Pid::from_raw(i32::try_from(pid).ok()?) } else { init_of(pid) }
    })
}

fn first_in_namespace(pid: u32) -> io::Result<bool> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
    let numbers: Vec<_> = line.split_whitespace().collect();
    Ok(numbers.len() > 1
        && numbers.last() == Some(&"1")
        && fs::read_to_string(format!("/proc/{pid}/comm"))?.trim() == "systemd")
}
