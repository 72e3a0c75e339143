//! The one thread that spawns and signals workers: it sleeps until a command, a piece of news, or the instant at which
//! a worker is next to be looked at.
//!
//! Deliberately absent: pipes, and anything else that could block it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use surge_platform::process::Process;

use crate::budget::{Allotment, Budget};
use crate::checkpoint::Generations;
use crate::verdict::Cause;
use crate::worker::Worker;
use crate::{Config, Finished, Task, WorkerId, WorkerStatus};

/// How long a killed worker may take to be gone when the supervisor stops. Only a process stuck in the kernel takes
/// longer, and waiting would not help it.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// What the control thread is asked or told.
#[derive(Debug)]
pub(crate) enum Command {
    Run { id: WorkerId, start: Box<Start> },
    SetShare { id: WorkerId, share: f32 },
    SetBudget(Budget),
    Kill { id: WorkerId },
    News { id: WorkerId, news: News },
    Stop,
}

/// All that a new worker begins with.
pub(crate) struct Start {
    pub(crate) task: Task,
    pub(crate) allotment: Allotment,
    pub(crate) log: OnLog,
    pub(crate) then: Then,
}

impl fmt::Debug for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Start").field("task", &self.task).field("allotment", &self.allotment).finish_non_exhaustive()
    }
}

/// Gets the program's log as it comes.
pub(crate) type OnLog = Box<dyn FnMut(&[u8]) + Send>;

/// What the threads of a worker have seen.
#[derive(Debug, Clone, Copy)]
pub(crate) enum News {
    /// Its report is there.
    Reported,
    /// It has nothing more to say, or nothing that is worth hearing, and is still there.
    Silent,
    /// It was continued while it was suspended.
    Resumed,
    Gone,
}

/// Who is to be told how a task ended. Told exactly once: if everything else fails, when it is dropped.
pub(crate) struct Then {
    id: WorkerId,
    then: Option<Box<dyn FnOnce(Finished) + Send>>,
    /// It puts the result where a crash can't take it: only then are the task's checkpoints of no use any more.
    keeps: bool,
}

impl Then {
    pub(crate) fn new(id: WorkerId, then: impl FnOnce(Finished) + Send + 'static) -> Self {
        Self { id, then: Some(Box::new(then)), keeps: false }
    }

    pub(crate) fn keeping(id: WorkerId, then: impl FnOnce(Finished) + Send + 'static) -> Self {
        Self { id, then: Some(Box::new(then)), keeps: true }
    }

    /// Tells, and forgets `spent`.
    pub(crate) fn call(mut self, finished: Finished, spent: Option<Generations>) {
        let forget = || spent.iter().for_each(Generations::forget);
        if !self.keeps {
            forget();
        }
        self.tell(finished);
        if self.keeps {
            forget();
        }
    }

    fn tell(&mut self, finished: Finished) {
        let Some(then) = self.then.take() else { return };
        tracing::debug!(
            worker = self.id.number(), outcome = finished.outcome.name(), code = %finished.code, cpu_ms = finished.cpu_ms,
            "ended"
        );
        then(finished);
    }
}

impl Drop for Then {
    fn drop(&mut self) {
        if self.then.is_some() {
            self.tell(Finished::stopped());
        }
    }
}

impl fmt::Debug for Then {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Then")
    }
}

/// The way from a worker's threads to the control thread and the roster.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) id: WorkerId,
    commands: Sender<Command>,
    roster: SharedRoster,
}

impl Line {
    pub(crate) fn send(&self, news: News) {
        // A control thread that is gone has killed its workers.
        let _ = self.commands.send(Command::News { id: self.id, news });
    }

    pub(crate) fn arrived(&self, process: &Arc<Process>, share: f32) {
        self.roster.lock().workers.insert(self.id, (Arc::clone(process), share));
    }

    pub(crate) fn gone(&self) {
        self.roster.lock().workers.remove(&self.id);
        self.send(News::Gone);
    }
}

/// The workers that are alive, for whoever asks.
#[derive(Debug, Clone, Default)]
pub(crate) struct SharedRoster(Arc<Mutex<Roster>>);

#[derive(Debug, Default)]
struct Roster {
    last: u64,
    workers: BTreeMap<WorkerId, (Arc<Process>, f32)>,
}

impl SharedRoster {
    pub(crate) fn next_id(&self) -> WorkerId {
        let mut roster = self.lock();
        roster.last += 1;
        WorkerId(roster.last)
    }

    pub(crate) fn statuses(&self) -> Vec<WorkerStatus> {
        // Copied first: the control thread wants this lock too, and must not wait for clocks to be read.
        let workers = self.lock().workers.clone();
        let status = |(id, (process, share)): (WorkerId, (Arc<Process>, f32))| WorkerStatus {
            id,
            pid: process.pid(),
            share,
            cpu_ms: u64::try_from(process.cpu_time().as_millis()).unwrap_or(u64::MAX),
        };
        workers.into_iter().map(status).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Roster> {
        // A plain table: what a panicking thread left there is still true.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The state of the control thread.
#[derive(Debug)]
pub(crate) struct Control {
    config: Config,
    commands: Sender<Command>,
    inbox: Receiver<Command>,
    roster: SharedRoster,
    budget: Budget,
    workers: BTreeMap<WorkerId, Worker>,
}

impl Control {
    pub(crate) fn new(
        config: Config,
        commands: Sender<Command>,
        inbox: Receiver<Command>,
        roster: SharedRoster,
    ) -> Self {
        Self { config, commands, inbox, roster, budget: Budget::HOLD, workers: BTreeMap::new() }
    }

    /// Works until told to stop, and leaves no worker behind.
    pub(crate) fn run(mut self) {
        loop {
            match self.next_command() {
                Some(Command::Stop) => break,
                Some(command) => self.obey(command),
                None => {}
            }
            self.look_after_workers();
        }
        self.stop();
    }

    /// Blocks until a command comes or a worker is due.
    fn next_command(&self) -> Option<Command> {
        let due = self.workers.values().filter_map(|worker| worker.wake).min();
        let Some(due) = due else {
            return Some(self.inbox.recv().unwrap_or(Command::Stop));
        };
        match self.inbox.recv_timeout(due.saturating_duration_since(Instant::now())) {
            Ok(command) => Some(command),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Command::Stop),
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Run { id, start } => self.start(id, *start),
            Command::SetShare { id, share } => self.set_fixed_share(id, share),
            Command::SetBudget(budget) => {
                self.budget = budget;
                self.share_out();
            }
            Command::Kill { id } => {
                self.with(id, |worker| worker.kill(Cause::Asked));
                self.share_out();
            }
            Command::News { id, news: News::Gone } => {
                self.workers.remove(&id);
                self.share_out();
            }
            Command::News { id, news: News::Reported } => self.with(id, |worker| worker.farewell(Instant::now())),
            Command::News { id, news: News::Silent } => self.with(id, |worker| worker.kill(Cause::Done)),
            Command::News { id, news: News::Resumed } => self.with(id, |worker| worker.resumed()),
            Command::Stop => {}
        }
    }

    fn start(&mut self, id: WorkerId, start: Start) {
        let line = Line { id, commands: self.commands.clone(), roster: self.roster.clone() };
        let share = match start.allotment {
            Allotment::Fixed(share) => share,
            Allotment::Ranked(rank) => self.first_share(id, rank),
        };
        if let Some(worker) = Worker::start(&self.config, start, share, line) {
            tracing::debug!(worker = id.number(), pid = worker.process.pid(), "started");
            self.workers.insert(id, worker);
            self.share_out();
        }
    }

    /// What the budget gives to a worker that is about to arrive.
    fn first_share(&self, id: WorkerId, rank: u64) -> f32 {
        let mut ranked = self.ranked();
        ranked.push((rank, id));
        let shares = self.budget.shares(ranked);
        shares.into_iter().find_map(|(given, share)| (given == id).then_some(share)).unwrap_or(0.0)
    }

    /// The workers that the budget is for. One that was killed makes room at once.
    fn ranked(&self) -> Vec<(u64, WorkerId)> {
        let rank = |(&id, worker): (&WorkerId, &Worker)| match worker.allotment {
            Allotment::Ranked(rank) if !worker.is_killed() => Some((rank, id)),
            _ => None,
        };
        self.workers.iter().filter_map(rank).collect()
    }

    /// Applies the budget to the workers that are here now.
    fn share_out(&mut self) {
        for (id, share) in self.budget.shares(self.ranked()) {
            self.set_share(id, share);
        }
    }

    fn set_fixed_share(&mut self, id: WorkerId, share: f32) {
        if self.workers.get(&id).is_some_and(|worker| matches!(worker.allotment, Allotment::Fixed(_))) {
            self.set_share(id, share);
        }
    }

    fn set_share(&mut self, id: WorkerId, share: f32) {
        self.with(id, |worker| worker.set_share(share, Instant::now()));
        if let Some((_, shown)) = self.roster.lock().workers.get_mut(&id) {
            *shown = share;
        }
    }

    fn look_after_workers(&mut self) {
        let now = Instant::now();
        for worker in self.workers.values_mut().filter(|worker| worker.wake.is_some_and(|wake| wake <= now)) {
            worker.step(now);
        }
    }

    fn with(&mut self, id: WorkerId, act: impl FnOnce(&mut Worker)) {
        if let Some(worker) = self.workers.get_mut(&id) {
            act(worker);
        }
    }

    fn stop(mut self) {
        for worker in self.workers.values_mut() {
            worker.kill(Cause::Stop);
        }
        let deadline = Instant::now() + STOP_PATIENCE;
        while !self.workers.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.inbox.recv_timeout(left) {
                Ok(Command::News { id, news: News::Gone }) => drop(self.workers.remove(&id)),
                Ok(_) => {}
                Err(_) => return tracing::error!(workers = self.workers.len(), "workers did not die in time"),
            }
        }
    }
}
