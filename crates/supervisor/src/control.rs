//! The one thread that suspends, resumes and kills workers: it sleeps until a command, an event of a worker, or the instant at
//! which a worker is next to be looked at.
//!
//! Deliberately absent: whatever could keep it from suspending a worker at once. It reads no pipe and no file of a disk, it
//! starts no process and waits for none, and it takes no lock of this crate: the spawner and the threads of each worker do
//! all that.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::budget::{Allotment, Budget};
use crate::messages::{Command, Job, Line, Order, WorkerEvent};
use crate::roster::{Decided, Roster};
use crate::verdict::Cause;
use crate::worker::Worker;
use crate::{Config, WorkerId};

/// How long a killed worker may take to be gone when the supervisor stops. Only a process stuck in the kernel takes
/// longer, and waiting would not help it.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// The state of the control thread.
#[derive(Debug)]
pub(crate) struct Control {
    config: Config,
    commands: Sender<Command>,
    spawner: Sender<Order>,
    roster: Roster,
    budget: Budget,
    workers: BTreeMap<WorkerId, Worker>,
}

impl Control {
    pub(crate) fn new(config: Config, commands: Sender<Command>, spawner: Sender<Order>, roster: Roster) -> Self {
        Self { config, commands, spawner, roster, budget: Budget::HOLD, workers: BTreeMap::new() }
    }

    /// Works until told to stop, and leaves no worker behind. `spawner_thread` is the one behind the sender of orders.
    pub(crate) fn run(mut self, inbox: &Receiver<Command>, spawner_thread: JoinHandle<()>) {
        loop {
            match self.next_command(inbox) {
                Some(Command::Stop) => break,
                Some(command) => self.handle(command, Instant::now()),
                None => {}
            }
            self.look_after_workers(Instant::now());
        }
        if self.stop(inbox) {
            drop(self);
            // A panic of that thread was reported where it happened, and the system has killed its workers.
            let _ = spawner_thread.join();
        }
    }

    /// Blocks until a command comes or a worker is due.
    fn next_command(&self, inbox: &Receiver<Command>) -> Option<Command> {
        let Some(due) = self.due() else {
            return Some(inbox.recv().unwrap_or(Command::Stop));
        };
        match inbox.recv_timeout(due.saturating_duration_since(Instant::now())) {
            Ok(command) => Some(command),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Command::Stop),
        }
    }

    /// When a worker is to be looked at next.
    fn due(&self) -> Option<Instant> {
        self.workers.values().filter_map(|worker| worker.wake).min()
    }

    fn handle(&mut self, command: Command, now: Instant) {
        match command {
            Command::Run { id, allotment, job } => self.order(id, allotment, *job, now),
            Command::SetShare { id, share } => self.set_fixed_share(id, share, now),
            Command::SetBudget(budget) => {
                self.budget = budget;
                self.share_out(now);
            }
            Command::Kill { id } => {
                self.with(id, |worker| worker.kill(Cause::Asked));
                self.share_out(now);
            }
            Command::WorkerEvent { id, event: WorkerEvent::Gone } => {
                self.workers.remove(&id);
                self.share_out(now);
            }
            Command::WorkerEvent { id, event } => self.with(id, |worker| match event {
                WorkerEvent::Forked(process) => worker.forked(process, now),
                WorkerEvent::Executing => worker.executing(now),
                WorkerEvent::Reported => worker.reported(now),
                WorkerEvent::Silent => worker.kill(Cause::Done),
                WorkerEvent::Resumed => worker.resumed(),
                WorkerEvent::Gone => {}
            }),
            Command::Stop => {}
        }
    }

    /// Has a worker started by the spawner, with its share decided before it is there.
    fn order(&mut self, id: WorkerId, allotment: Allotment, job: Job, now: Instant) {
        let decided = Arc::new(Decided::default());
        if let Allotment::Fixed(share) = allotment {
            decided.set_share(share);
        }
        let cpu_ms = job.task.limits.cpu_ms;
        self.workers.insert(id, Worker::new(id.number(), allotment, cpu_ms, &self.config, Arc::clone(&decided)));
        self.share_out(now);
        let line = Line::new(id, self.commands.clone(), self.roster.clone());
        // A spawner that is gone has dropped the order, and with it told whoever waits.
        if self.spawner.send(Order { job, line, decided }).is_err() {
            self.workers.remove(&id);
        }
    }

    /// Applies the budget to the workers that are here now.
    fn share_out(&mut self, now: Instant) {
        // One that was killed makes room at once.
        let rank = |(&id, worker): (&WorkerId, &Worker)| match worker.allotment {
            Allotment::Ranked(rank) if !worker.is_killed() => Some((rank, id)),
            _ => None,
        };
        let ranked = self.workers.iter().filter_map(rank).collect();
        for (id, share) in self.budget.shares(ranked) {
            self.with(id, |worker| worker.set_share(share, now));
        }
    }

    fn set_fixed_share(&mut self, id: WorkerId, share: f32, now: Instant) {
        self.with(id, |worker| {
            if matches!(worker.allotment, Allotment::Fixed(_)) {
                worker.set_share(share, now);
            }
        });
    }

    fn look_after_workers(&mut self, now: Instant) {
        for worker in self.workers.values_mut().filter(|worker| worker.wake.is_some_and(|wake| wake <= now)) {
            worker.step(now);
        }
    }

    fn with(&mut self, id: WorkerId, act: impl FnOnce(&mut Worker)) {
        if let Some(worker) = self.workers.get_mut(&id) {
            act(worker);
        }
    }

    /// Kills all workers and waits until they are gone. `false` where some are not gone in time.
    fn stop(&mut self, inbox: &Receiver<Command>) -> bool {
        for worker in self.workers.values_mut() {
            worker.kill(Cause::Stop);
        }
        let deadline = Instant::now() + STOP_PATIENCE;
        while !self.workers.is_empty() {
            let now = Instant::now();
            match inbox.recv_timeout(deadline.saturating_duration_since(now)) {
                // Whoever waits for its task is told when the command is dropped.
                Ok(Command::Run { .. }) => {}
                Ok(command) => self.handle(command, now),
                Err(_) => {
                    tracing::error!(workers = self.workers.len(), "workers did not end in time");
                    return false;
                }
            }
        }
        true
    }
}

#[cfg(test)]
mod tests;
