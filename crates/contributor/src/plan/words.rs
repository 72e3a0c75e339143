//! The messages between the plan and its driver: what happened goes in, what is to be done comes out.

use surge_protocol::api::{LeaseId, LeaseState};
use surge_protocol::{Code, Outcome};

use super::{Millis, Terms};
use crate::gate::NewWork;

/// When something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) now: Millis,
    /// Random, so that many nodes do not come back at once.
    pub(crate) jitter: u8,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Input {
    /// So many tasks may run now, none while work is held; and which may begin.
    Gate {
        workers: u32,
        new_work: NewWork,
    },
    /// The coordinator gave a task.
    Leased(Terms),
    /// It has none for so long.
    Nothing {
        after: Millis,
    },
    /// It gave none to this request: it refused, or the answer was of no use here.
    AskFailed {
        after: Option<Millis>,
    },
    /// It may have given a task, but no answer came: the line broke, or the request was cancelled.
    AnswerLost {
        after: Option<Millis>,
    },
    /// The request for work was cancelled before it was sent.
    AskCancelled,
    /// All that a task needs is here.
    Fetched(LeaseId),
    NotFetched(LeaseId, Obstacle),
    /// A worker is gone.
    Ended(LeaseId, Ending),
    /// The answer to a heartbeat.
    Beaten(LeaseId, Heard),
    /// The coordinator has the result, or will never take it.
    Delivered(LeaseId),
    DeliveryFailed(LeaseId, Option<Millis>),
    /// The engine stops: what is held is ended or left to the next engine, in order.
    Stop,
}

/// Why a task can't be begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// The line is down: it may work later.
    Line,
    /// This host can't keep what the task needs.
    Host,
    /// This node does not run such tasks.
    Unfit,
}

/// How a worker ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Its result is stored, durably.
    Stored,
    /// The disk does not take its result, and the engine stops: the next engine goes on with the task.
    Unstored,
    /// It came to a bad end that says nothing of the task. There may be a checkpoint to go on from.
    Lost {
        outcome: Outcome,
        code: Code,
        /// It synced something first.
        further: bool,
    },
    /// An ending that does not vote. `here`: this host is at fault.
    NoVote { outcome: Outcome, code: Code, here: bool },
}

/// What the coordinator says of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    Extended(Millis),
    Over,
    /// Nothing was heard.
    Failed,
}

/// Which request for work is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    New,
    /// The one before once more, since its answer was lost: it brings the same task.
    Again,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Ask for a task; an input tells what came of it.
    Ask(Asked),
    /// End the open request for work; what came of it is told as if it had not been cancelled.
    CancelAsk,
    /// Give back the task that the newest request may have been given, though no answer said so.
    Decline,
    Fetch(LeaseId),
    Start(LeaseId),
    /// End its worker; `Ended` follows.
    Kill(LeaseId),
    Beat(LeaseId, LeaseState),
    /// Tell the coordinator that the task is for somebody else; with an outcome, that this host failed at it.
    GiveBack(LeaseId, Option<(Outcome, Code)>),
    Deliver(LeaseId),
    /// Its record, its checkpoints and its blobs are of no use any more.
    Forget(LeaseId),
}
