//! Spawns, feeds, throttles, suspends and kills one worker process for each task, and says how each task ended.
//!
//! Deliberately absent: the engine that runs WASM (the worker is started by its path, and believed as little as
//! possible), any network, any notion of money or presence. What may run, and how hard, is decided elsewhere and
//! arrives here as a budget or a share.
//!
//! Threads: one decides (`control`) and waits for nothing but its queue and the time; one starts processes (`spawner`); three
//! attend to each worker (`worker_threads`). They talk by `messages`.

mod attendance;
mod budget;
mod checkpoint;
mod child;
mod code;
mod control;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod lockdown;
mod messages;
mod on_end;
mod pace;
mod program;
mod protocol;
mod roster;
mod runnable_clock;
mod spawner;
mod task;
mod verdict;
mod worker;
mod worker_cache;
mod worker_threads;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use surge_protocol::frame::Lockdown;
use thiserror::Error;

pub use budget::Budget;
pub use checkpoint::Checkpoints;
pub use code::CodeCache;
pub use lockdown::{LockdownProbe, LockdownUntold, probe_lockdown};
pub use program::{ClassError, NoWorker, find_worker, runtime_class};
pub use surge_platform::process::Priority;
pub use task::{Finished, Task};

use budget::{Allotment, clamp};
use control::Control;
use messages::{Command, Job, OnLog};
use on_end::OnEnd;
use roster::Roster;

/// What a supervisor must know to start workers.
#[derive(Debug, Clone)]
pub struct Config {
    /// The `surge-worker` program, absolute.
    pub worker: PathBuf,
    /// What workers get of the processor beside other programs: what nobody else wants, unless somebody waits for them.
    pub priority: Priority,
    /// A worker that may run, yet neither computes nor waits for the processor for so long, is killed as stalled.
    /// Time in which it is suspended does not count.
    pub stall_after: Duration,
    /// How long a worker may be free to run, whether or not it gets a processor; time in which it is suspended or the
    /// machine sleeps does not count. `None`: ten times the CPU time of its task, and at least an hour.
    pub wall: Option<Duration>,
    /// The least lock-down that a worker must reach before it is told anything.
    pub lockdown: Lockdown,
    /// What [`runtime_class`] said when this program started. A worker of another class is of another version, because Surge
    /// was updated meanwhile: its task ends as `host` / `worker_changed`. `None` takes a worker of any class.
    pub runtime_class: Option<String>,
    /// Where compiled code is kept; without, every task compiles its module.
    pub code: Option<Arc<CodeCache>>,
}

impl Config {
    /// The worker at `worker` at idle priority, fully locked down, with the usual patience of 30 seconds.
    #[must_use]
    pub fn new(worker: PathBuf) -> Self {
        Self {
            worker,
            priority: Priority::Idle,
            stall_after: Duration::from_secs(30),
            wall: None,
            lockdown: Lockdown::Full,
            runtime_class: None,
            code: None,
        }
    }
}

/// Why no supervisor could be started.
#[derive(Debug, Error)]
pub enum StartError {
    #[error("the worker program {} can't be used: {source}", path.display())]
    Worker { path: PathBuf, source: std::io::Error },
    #[error("the system refused another thread: {0}")]
    Thread(std::io::Error),
}

/// One worker process of one supervisor. Never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(u64);

impl WorkerId {
    /// The worker with this number, for those who put a fake in the place of a supervisor.
    #[must_use]
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// 1 for the first worker of a supervisor, and so on.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// A worker as measured from outside at the moment of asking.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WorkerStatus {
    pub id: WorkerId,
    pub pid: u32,
    /// The share of one core that it may use now, 0 to 1. 0 is held.
    pub share: f32,
    /// Its process was stopped, and not continued since.
    pub suspended: bool,
    /// CPU time so far on the process's own clock, milliseconds.
    pub cpu_ms: u64,
}

impl WorkerStatus {
    /// Whether it is stopped and stays so until it gets another share.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.share <= 0.0 && self.suspended
    }
}

/// Owns the threads that start and signal workers. Dropping it kills all workers and waits until they are gone.
pub struct Supervisor {
    commands: Sender<Command>,
    roster: Roster,
    last_id: AtomicU64,
    control: Option<JoinHandle<()>>,
}

impl Supervisor {
    /// Starts the threads. No worker is started before a task is there.
    ///
    /// # Errors
    /// When there is no file at the worker's path, or the system refuses a thread.
    pub fn start(config: Config) -> Result<Self, StartError> {
        let usable = std::path::absolute(&config.worker).and_then(|path| {
            let found = std::fs::metadata(&path)?;
            if found.is_file() { Ok(path) } else { Err(std::io::Error::other("it is not a file")) }
        });
        let worker = match usable {
            Ok(path) => path,
            Err(source) => return Err(StartError::Worker { path: config.worker, source }),
        };
        // Modules, outputs and images are large, and the next of them may be a night away.
        surge_platform::memory::keep_little();
        let config = Config { worker, ..config };
        let (commands, inbox) = mpsc::channel();
        let roster = Roster::default();
        let (orders, spawner) = spawner::start(config.clone()).map_err(StartError::Thread)?;
        let control = Control::new(config, commands.clone(), orders, roster.clone());
        let thread = thread::Builder::new()
            .name("supervisor".into())
            .spawn(move || control.run(&inbox, spawner))
            .map_err(StartError::Thread)?;
        Ok(Self { commands, roster, last_id: AtomicU64::new(0), control: Some(thread) })
    }

    /// Runs `task` in a worker of its own at `share` of one core (0 holds it from the start), whatever the budget says.
    /// The answer comes at once; how the task ended is got from [`Running::wait`].
    #[must_use]
    pub fn run(&self, task: Task, share: f32) -> Running {
        self.run_logged(task, share, |_| {})
    }

    /// As [`Self::run`], with the program's log handed to `log` as it comes, on a thread of that worker's own.
    #[must_use]
    pub fn run_logged(&self, task: Task, share: f32, log: impl FnMut(&[u8]) + Send + 'static) -> Running {
        let (sender, end) = mpsc::channel();
        let then = move |finished| {
            // Nobody has to be interested in how it ended.
            let _ = sender.send(finished);
        };
        let allotment = Allotment::Fixed(clamp(share));
        Running { id: self.begin(task, allotment, Box::new(log), |id| OnEnd::passing(id, then)), end }
    }

    /// Runs `task` in a worker that gets its share from the budget of [`Self::set_budget`]: it runs while fewer workers
    /// than the budget's have a lower rank (of two with the same rank, the one that came first), and is held otherwise.
    ///
    /// The answer comes at once. The ending is handed to `then` on a thread of that worker's own, so that it may take its
    /// time: the checkpoints of a task that has ended are there until it returns. It is called exactly once, whatever
    /// happens.
    pub fn run_then(&self, task: Task, rank: u64, then: impl FnOnce(Finished) + Send + 'static) -> WorkerId {
        self.begin(task, Allotment::Ranked(rank), Box::new(|_| {}), |id| OnEnd::storing(id, then))
    }

    /// Gives all workers of [`Self::run_then`] another budget, until the next. [`Budget::HOLD`] is in force at first.
    ///
    /// Never blocks: the budget is put into a queue, and no lock is waited for. The thread that suspends workers applies it
    /// at once, and again whenever a worker comes, is killed or ends.
    pub fn set_budget(&self, budget: Budget) {
        self.send(Command::SetBudget(budget.clamped()));
    }

    /// Gives a worker of [`Self::run`] another share of one core, 0 to 1; 0 suspends it at once. A worker that is gone, or
    /// that gets its share from the budget, is left as it is.
    pub fn set_share(&self, id: WorkerId, share: f32) {
        self.send(Command::SetShare { id, share: clamp(share) });
    }

    /// Kills a worker. Its task ends as `host` / `killed`. A worker that is gone is ignored.
    pub fn kill(&self, id: WorkerId) {
        self.send(Command::Kill { id });
    }

    /// Every worker process that is alive now, with its CPU time measured now.
    #[must_use]
    pub fn workers(&self) -> Vec<WorkerStatus> {
        self.roster.statuses()
    }

    fn begin(
        &self,
        task: Task,
        allotment: Allotment,
        on_log: OnLog,
        on_end: impl FnOnce(WorkerId) -> OnEnd,
    ) -> WorkerId {
        let id = WorkerId(self.last_id.fetch_add(1, Ordering::Relaxed) + 1);
        self.send(Command::Run { id, allotment, job: Box::new(Job { task, on_log, on_end: on_end(id) }) });
        id
    }

    fn send(&self, command: Command) {
        self.commands.send(command).expect("the control thread lives until its supervisor is dropped");
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        // A control thread that is gone has left no worker.
        let _ = self.commands.send(Command::Stop);
        if let Some(thread) = self.control.take() {
            // A panic of that thread was reported where it happened; workers die with it by the parent-death signal.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervisor").field("workers", &self.workers()).finish_non_exhaustive()
    }
}

/// A task that was handed to a worker. Dropping it changes nothing: the task runs on.
#[derive(Debug)]
pub struct Running {
    id: WorkerId,
    end: Receiver<Finished>,
}

impl Running {
    #[must_use]
    pub const fn id(&self) -> WorkerId {
        self.id
    }

    /// Blocks until the task has ended and its worker is gone.
    #[must_use]
    pub fn wait(self) -> Finished {
        self.end.recv().unwrap_or_else(|_| Finished::stopped())
    }

    /// Blocks for at most `patience`; `None` when the task still runs then.
    #[must_use]
    pub fn wait_timeout(&self, patience: Duration) -> Option<Finished> {
        self.end.recv_timeout(patience).ok()
    }
}
