//! What the threads of a supervisor say to each other.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use crate::budget::{Allotment, Budget};
use crate::child::Child;
use crate::on_end::OnEnd;
use crate::roster::{Decided, Roster};
use crate::{Task, WorkerId};

/// What the control thread is asked, or told by the threads of a worker.
#[derive(Debug)]
pub(crate) enum Command {
    Run { id: WorkerId, allotment: Allotment, job: Box<Job> },
    SetShare { id: WorkerId, share: f32 },
    SetBudget(Budget),
    Kill { id: WorkerId },
    WorkerEvent { id: WorkerId, event: WorkerEvent },
    Stop,
}

/// A task, and who hears of it.
pub(crate) struct Job {
    pub(crate) task: Task,
    pub(crate) on_log: OnLog,
    pub(crate) on_end: OnEnd,
}

/// Gets the program's log as it comes.
pub(crate) type OnLog = Box<dyn FnMut(&[u8]) + Send>;

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("task", &self.task).field("on_end", &self.on_end).finish_non_exhaustive()
    }
}

/// A worker that the spawner is to start.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) job: Job,
    pub(crate) line: Line,
    pub(crate) decided: Arc<Decided>,
}

/// What happened to a worker.
#[derive(Debug, Clone)]
pub(crate) enum WorkerEvent {
    /// Its process exists, and is on its way to become the worker program.
    Forked(Arc<dyn Child>),
    /// Its process has become the worker program.
    Executing,
    /// Its report is there.
    Reported,
    /// It has nothing more to say, or nothing that is worth hearing, and is still there.
    Silent,
    /// It was continued while it was suspended.
    Resumed,
    /// Its process has ended, or never came to be.
    Gone,
}

/// The way from the threads of one worker to the control thread and the roster.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) id: WorkerId,
    commands: Sender<Command>,
    roster: Roster,
}

impl Line {
    pub(crate) fn new(id: WorkerId, commands: Sender<Command>, roster: Roster) -> Self {
        Self { id, commands, roster }
    }

    pub(crate) fn send(&self, event: WorkerEvent) {
        // A control thread that is gone has killed its workers.
        let _ = self.commands.send(Command::WorkerEvent { id: self.id, event });
    }

    pub(crate) fn forked(&self, process: Arc<dyn Child>, decided: Arc<Decided>) {
        self.roster.add(self.id, Arc::clone(&process), decided);
        self.send(WorkerEvent::Forked(process));
    }

    pub(crate) fn gone(&self) {
        self.roster.remove(self.id);
        self.send(WorkerEvent::Gone);
    }
}
