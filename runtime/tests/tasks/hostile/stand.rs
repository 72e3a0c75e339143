//! The process in which the cases are tried: a supervisor as `surge task run` has one, in folders of its own.
//!
//! Deliberately absent: other tests. This process runs the table alone, so that all that is in it afterwards is a case's.

use std::cell::Cell;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use surge_supervisor::{CodeCache, Config, Finished, Supervisor, Task};
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use super::traces::{Traces, bury_orphans, memory_kib};
use crate::door::{self, expect, print, program_with, wat, worker};

/// Says to a process of this program which part it plays.
pub(crate) const PART: &str = "SURGE_HOSTILE_PART";
/// What memory may differ by after all cases together, KiB: the allocator keeps up to a MiB for each of its heaps.
const TOLERANCE_KIB: u64 = 8 << 10;
/// Ten times what a thread takes to end on a slow machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// The process that tries the cases.
pub(crate) struct Stand {
    pub(crate) supervisor: Supervisor,
    folder: PathBuf,
    endings: Endings,
    traces: Traces,
    memory_kib: Cell<u64>,
}

/// This test again, in a process that plays `part`.
pub(crate) fn process(part: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let test = concat!(module_path!(), "::every_case_ends_as_its_row_says_and_leaves_nothing_behind");
    let test = test.split_once("::").unwrap().1.replace("::stand", "");
    command.args(["--exact", &test, "--nocapture"]).env(PART, part);
    command
}

/// Tries the table in a process of its own, with a home, a folder for temporary files and a working folder of its own.
pub(crate) fn run_alone() {
    let folder = tempfile::tempdir().unwrap();
    let [home, temporary, here] = ["home", "tmp", "here"].map(|name| folder.path().join(name));
    [&home, &temporary, &here].iter().for_each(|path| std::fs::create_dir(path).unwrap());
    let mut command = process("stand");
    command.env("HOME", &home).env("TMPDIR", &temporary).current_dir(&here);
    let output = command.output().unwrap();
    println!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

impl Stand {
    /// In the process that was started for it.
    pub(crate) fn new() -> Self {
        let endings = Endings::default();
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(endings.clone())).unwrap();
        // Whatever a worker leaves behind becomes a child of this process.
        rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
        let folder = Path::new(&std::env::var_os("HOME").unwrap()).parent().unwrap().to_owned();
        let code = Arc::new(CodeCache::open(&folder.join("home/code")).unwrap());
        let config = Config { code: Some(code), ..Config::new(worker()) };
        let supervisor = Supervisor::start(config).unwrap();
        let traces = Traces::now(&folder);
        let stand = Self { supervisor, folder, endings, traces, memory_kib: Cell::new(u64::MAX) };
        // What is touched for the first time is no trace of a case.
        stand.run_a_good_task();
        stand.settle();
        stand.memory_kib.set(memory_kib());
        stand
    }

    /// Runs a task and checks that nothing of its worker is left.
    pub(crate) fn run(&self, task: Task) -> Finished {
        door::run_by(&self.supervisor, task)
    }

    /// Runs a task in another worker program.
    pub(crate) fn run_in(&self, worker: PathBuf, task: Task) -> Finished {
        self.run_with(Config::new(worker), task)
    }

    /// The same, with little patience for silence: not for scripts that wait for other programs, which may have to wait for
    /// a processor themselves.
    pub(crate) fn run_impatiently(&self, worker: PathBuf, task: Task) -> Finished {
        self.run_with(Config { stall_after: Duration::from_millis(300), ..Config::new(worker) }, task)
    }

    fn run_with(&self, config: Config, task: Task) -> Finished {
        let supervisor = Supervisor::start(config).unwrap();
        door::run_by(&supervisor, task)
    }

    /// The endings that the log holds since the last look, sorted.
    pub(crate) fn logged(&self) -> Vec<String> {
        let mut logged = std::mem::take(&mut *self.endings.0.lock().unwrap());
        logged.sort();
        logged
    }

    /// The supervisor works, and nothing is left of what it was asked to do before. Gives back by how much its memory
    /// differs from the beginning, KiB.
    pub(crate) fn is_as_before(&self) -> i64 {
        self.run_a_good_task();
        self.settle();
        assert!(self.supervisor.workers().is_empty());
        memory_kib().cast_signed() - self.memory_kib.get().cast_signed()
    }

    /// After a case that failed: the next is judged by what is there now.
    pub(crate) fn begin_anew(&self) {
        self.supervisor.workers().into_iter().for_each(|worker| self.supervisor.kill(worker.id));
        door::until(|| self.supervisor.workers().is_empty().then_some(()));
        self.logged();
        self.memory_kib.set(memory_kib());
    }

    fn run_a_good_task(&self) {
        let hello = program_with(r#"(data (i32.const 0) "hello")"#, &print(0, 5));
        let finished = self.run(wat(&hello));
        expect(&finished, surge_protocol::Outcome::Done, 0);
        assert_eq!(finished.output, b"hello");
        assert_eq!(self.logged(), ["done/0"]);
    }

    /// Waits until the threads that attended to a worker are gone, and with them all that they held.
    fn settle(&self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            bury_orphans();
            let now = Traces::now(&self.folder);
            let grown = memory_kib().saturating_sub(self.memory_kib.get());
            if now == self.traces && grown <= TOLERANCE_KIB {
                return;
            }
            assert!(Instant::now() < deadline, "{grown} KiB more; before {:#?}, now {now:#?}", self.traces);
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }
}

/// Random numbers that are the same on each run.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    /// From 0 to `end` - 1.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end.max(1)
    }
}

/// What the supervisor's log says about endings.
#[derive(Debug, Clone, Default)]
struct Endings(Arc<Mutex<Vec<String>>>);

impl<S: tracing::Subscriber> Layer<S> for Endings {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        if event.metadata().target().starts_with("surge_supervisor") && fields.message == "ended" {
            self.0.lock().unwrap().push(format!("{}/{}", fields.outcome, fields.code));
        }
    }
}

#[derive(Debug, Default)]
struct Fields {
    message: String,
    outcome: String,
    code: String,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            "outcome" => self.outcome = format!("{value:?}"),
            "code" => self.code = format!("{value:?}"),
            _ => {}
        }
    }
}
