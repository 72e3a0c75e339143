//! The door: a task goes in, its ending comes out, and its worker is gone.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use surge_protocol::{Code, Outcome};
use surge_supervisor::{Config, Finished, Supervisor, Task, WorkerId, WorkerStatus};

/// Ten times what the slowest of these tasks takes on a slow machine.
pub(crate) const HANG: Duration = Duration::from_secs(300);

pub(crate) fn worker() -> PathBuf {
    env!("CARGO_BIN_EXE_surge-worker").into()
}

/// One supervisor for all tests, as one engine has one.
pub(crate) static SUPERVISOR: LazyLock<Supervisor> =
    LazyLock::new(|| Supervisor::start(Config::new(worker())).unwrap());

pub(crate) fn task(module: impl AsRef<[u8]>) -> Task {
    Task::new(module.as_ref())
}

/// A task of a module in text form.
pub(crate) fn wat(text: &str) -> Task {
    task(wat::parse_str(text).unwrap_or_else(|error| panic!("{error}\n{text}")))
}

/// Runs a task and checks that nothing of its worker is left.
pub(crate) fn run(task: Task) -> Finished {
    run_by(&SUPERVISOR, task)
}

/// The same by another supervisor.
pub(crate) fn run_by(supervisor: &Supervisor, task: Task) -> Finished {
    // Held at first, so that there is a worker to be seen.
    let running = supervisor.run(task, 0.0);
    let seen = until(|| {
        let worker = supervisor.workers().into_iter().find(|worker| worker.id == running.id());
        worker
            .map(|worker| (Some(worker.pid), None))
            .or_else(|| Some((None, Some(running.wait_timeout(Duration::ZERO)?))))
    });
    let pid = match seen {
        (_, Some(without_a_worker)) => return without_a_worker,
        (pid, None) => pid.unwrap(),
    };
    supervisor.set_share(running.id(), 1.0);
    let finished = running.wait_timeout(HANG).expect("the task ends");
    assert!(!Path::new(&format!("/proc/{pid}")).exists(), "process {pid} is still there");
    assert!(supervisor.workers().iter().all(|worker| worker.pid != pid));
    finished
}

/// Waits until a worker is there.
pub(crate) fn wait_for(id: WorkerId) -> WorkerStatus {
    wait_for_in(&SUPERVISOR, id)
}

/// The same of another supervisor.
pub(crate) fn wait_for_in(supervisor: &Supervisor, id: WorkerId) -> WorkerStatus {
    until(|| supervisor.workers().into_iter().find(|worker| worker.id == id))
}

/// Waits until a process stands still, with each of its threads.
pub(crate) fn wait_until_stopped(pid: u32) {
    let stopped = |thread: std::io::Result<std::fs::DirEntry>| {
        let stat = std::fs::read_to_string(thread.unwrap().path().join("stat")).unwrap();
        stat.rsplit_once(") ").unwrap().1.starts_with('T')
    };
    until(|| std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().all(stopped).then_some(()));
}

/// Waits until something is so.
pub(crate) fn until<T>(probe: impl Fn() -> Option<T>) -> T {
    let deadline = Instant::now() + HANG;
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < deadline, "it never came about");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

#[track_caller]
pub(crate) fn expect(finished: &Finished, outcome: Outcome, code: impl Into<Expected>) {
    let code = code.into().0;
    assert_eq!((finished.outcome, &finished.code), (outcome, &code), "{}", finished.detail);
    assert_eq!(finished.output.len() as u64, finished.output_bytes);
}

pub(crate) struct Expected(Code);

impl From<&str> for Expected {
    fn from(word: &str) -> Self {
        Self(Code::word(word))
    }
}

impl From<u32> for Expected {
    fn from(status: u32) -> Self {
        Self(Code::Status(status))
    }
}

/// Parameters of the WASI functions that these tests call.
const SIGNATURES: &[(&str, &str)] = &[
    ("args_get", "i32 i32"),
    ("args_sizes_get", "i32 i32"),
    ("environ_get", "i32 i32"),
    ("environ_sizes_get", "i32 i32"),
    ("clock_time_get", "i32 i64 i32"),
    ("fd_close", "i32"),
    ("fd_fdstat_get", "i32 i32"),
    ("fd_prestat_get", "i32 i32"),
    ("fd_pread", "i32 i32 i32 i64 i32"),
    ("fd_pwrite", "i32 i32 i32 i64 i32"),
    ("fd_read", "i32 i32 i32 i32"),
    ("fd_renumber", "i32 i32"),
    ("fd_seek", "i32 i64 i32 i32"),
    ("fd_sync", "i32"),
    ("fd_write", "i32 i32 i32 i32"),
    ("path_create_directory", "i32 i32 i32"),
    ("path_filestat_get", "i32 i32 i32 i32 i32"),
    ("path_open", "i32 i32 i32 i32 i32 i64 i64 i32 i32"),
    ("path_symlink", "i32 i32 i32 i32 i32"),
    ("poll_oneoff", "i32 i32 i32 i32"),
    ("proc_raise", "i32"),
    ("random_get", "i32 i32"),
    ("sched_yield", ""),
    ("sock_accept", "i32 i32 i32"),
    ("sock_recv", "i32 i32 i32 i32 i32 i32"),
    ("sock_send", "i32 i32 i32 i32 i32"),
    ("sock_shutdown", "i32 i32"),
];

/// A program in text form: the WASI functions it names are imported, its memory is exported, `body` is `_start`, and
/// `more` stands beside it. `$exit` ends the program with a status.
pub(crate) fn program_with(more: &str, body: &str) -> String {
    let mut imports = String::new();
    for (name, parameters) in SIGNATURES {
        if [more, body].iter().any(|text| text.contains(&format!("${name}"))) {
            imports += &format!(
                "(import \"wasi_snapshot_preview1\" \"{name}\" (func ${name} (param {parameters}) (result i32)))\n"
            );
        }
    }
    format!(
        "(module {imports}
           (import \"wasi_snapshot_preview1\" \"proc_exit\" (func $exit (param i32)))
           (memory (export \"memory\") 4)
           {more}
           (func (export \"_start\") (local $i i32) (local $n i32) {body}))"
    )
}

pub(crate) fn program(body: &str) -> String {
    program_with("", body)
}

/// A program that writes `length` bytes from `at` to standard output.
pub(crate) fn print(at: u32, length: u32) -> String {
    format!(
        "(i32.store (i32.const 65000) (i32.const {at})) (i32.store (i32.const 65004) (i32.const {length}))
         (drop (call $fd_write (i32.const 1) (i32.const 65000) (i32.const 1) (i32.const 65008)))"
    )
}
