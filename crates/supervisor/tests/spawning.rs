//! A worker that is slow to start holds up nobody: while its program can't be read, other workers are suspended at once, and
//! it can be killed itself.
//!
//! The program hangs in exec by a lease: a file with a write lease is opened by nobody else until its holder lets go.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use surge_protocol::Outcome;
use surge_supervisor::{Budget, Config, Running, Supervisor, Task};

/// Ten times what anything here takes on a slow machine.
const HANG: Duration = Duration::from_secs(120);

/// As fcntl(2) has it. The `libc` crate lacks it.
const F_SETSIG: libc::c_int = 10;

struct Stand {
    folder: tempfile::TempDir,
}

impl Stand {
    fn new() -> Self {
        let stand = Self { folder: tempfile::tempdir().unwrap() };
        stand.renew();
        stand
    }

    fn worker(&self) -> PathBuf {
        self.folder.path().join("worker")
    }

    /// Another file at the worker's path: `cat`, which waits for a task that it is never told.
    fn renew(&self) {
        let new = self.folder.path().join("new");
        // Copied by another process: a descriptor that is open for writing would live on in what other tests fork.
        assert!(Command::new("cp").arg("/bin/cat").arg(&new).status().unwrap().success());
        fs::rename(new, self.worker()).unwrap();
    }

    fn supervisor(&self) -> Supervisor {
        Supervisor::start(Config { stall_after: HANG, ..Config::new(self.worker()) }).unwrap()
    }
}

/// Nobody can execute the file at `path` until the lease is dropped.
struct Lease(File);

impl Lease {
    fn on(path: &Path) -> Self {
        let lease = Self(File::open(path).unwrap());
        // The signal that asks for the file is one that is ignored unless a process handles it.
        lease.control(F_SETSIG, libc::SIGURG);
        let taken = lease.control(libc::F_SETLEASE, libc::F_WRLCK);
        assert_eq!(taken, 0, "no lease: {}", std::io::Error::last_os_error());
        lease
    }

    #[expect(unsafe_code, reason = "there is no safe form of a file lease")]
    fn control(&self, command: libc::c_int, value: libc::c_int) -> libc::c_int {
        // SAFETY: these commands take an open descriptor and a number.
        unsafe { libc::fcntl(self.0.as_raw_fd(), command, value) }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Closing the file would do, but what another test has forked may have it open for a moment.
        self.control(libc::F_SETLEASE, libc::F_UNLCK);
    }
}

fn begin(supervisor: &Supervisor, share: f32) -> (Running, u32) {
    let running = supervisor.run(Task::new(*b"module"), share);
    let pid = until(|| supervisor.workers().into_iter().find(|worker| worker.id == running.id())).pid;
    (running, pid)
}

fn until<T>(probe: impl Fn() -> Option<T>) -> T {
    let deadline = Instant::now() + HANG;
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < deadline, "it never came about");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

fn is_stopped(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
}

/// Whether the process is the worker program by now.
fn executes(pid: u32, worker: &Path) -> bool {
    fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|program| program == worker)
}

#[test]
fn a_worker_is_suspended_while_another_hangs_in_its_start() {
    let stand = Stand::new();
    let worker = stand.worker().canonicalize().unwrap();
    let supervisor = stand.supervisor();
    let (first, first_pid) = begin(&supervisor, 1.0);
    until(|| executes(first_pid, &worker).then_some(()));
    stand.renew();
    let lease = Lease::on(&worker);
    let (second, second_pid) = begin(&supervisor, 1.0);

    supervisor.set_share(first.id(), 0.0);
    until(|| is_stopped(first_pid).then_some(()));
    assert!(!executes(second_pid, &worker), "it was started before the other was suspended");
    // Further ones queue up behind nothing.
    let (third, third_pid) = begin(&supervisor, 0.0);
    supervisor.kill(second.id());
    let ended = second.wait_timeout(HANG).expect("it dies where it hangs");
    assert_eq!((ended.outcome, ended.code.to_string().as_str()), (Outcome::Host, "killed"), "{}", ended.detail);
    assert!(!executes(third_pid, &worker));

    drop(lease);
    until(|| (executes(third_pid, &worker) && is_stopped(third_pid)).then_some(()));
    supervisor.kill(first.id());
    supervisor.kill(third.id());
    assert_eq!(first.wait().code.to_string(), "killed");
    assert_eq!(third.wait().code.to_string(), "killed");
}

/// The owner returns while a worker is being started.
#[test]
fn a_worker_whose_share_is_taken_while_it_starts_is_suspended_as_soon_as_it_is_there() {
    let stand = Stand::new();
    let worker = stand.worker().canonicalize().unwrap();
    let supervisor = stand.supervisor();
    supervisor.set_budget(Budget::ALL);
    let lease = Lease::on(&worker);
    let (send, ended) = std::sync::mpsc::channel();
    let id = supervisor.run_then(Task::new(*b"module"), 1, move |finished| send.send(finished).unwrap());
    let pid = until(|| supervisor.workers().first().map(|worker| worker.pid));
    supervisor.set_budget(Budget::HOLD);
    until(|| (supervisor.workers()[0].share == 0.0).then_some(()));
    assert!(!executes(pid, &worker));
    drop(lease);
    until(|| (executes(pid, &worker) && is_stopped(pid)).then_some(()));
    supervisor.kill(id);
    assert_eq!(ended.recv_timeout(HANG).unwrap().code.to_string(), "killed");
}

#[test]
fn a_supervisor_that_ends_takes_a_worker_along_that_hangs_in_its_start() {
    let stand = Stand::new();
    let supervisor = stand.supervisor();
    let lease = Lease::on(&stand.worker());
    let (running, pid) = begin(&supervisor, 1.0);
    drop(supervisor);
    assert_eq!(running.wait().code.to_string(), "killed");
    assert!(!Path::new(&format!("/proc/{pid}")).exists(), "process {pid} is still there");
    drop(lease);
}
