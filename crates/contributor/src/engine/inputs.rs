//! What goes between the engine's parts.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use jiff::tz::TimeZone;
use surge_platform::conditions::Conditions;
use surge_platform::sensors::{Pace, Wanted};
use tokio::sync::oneshot;

use crate::gate::{Decision, Intent, Limits};
use crate::view::{Command, MachineView, PresenceView, Reason, Snapshot};
use crate::wish::Wish;
use crate::work::Work;

/// What the decision loop hears.
#[derive(Debug)]
pub(crate) enum Input {
    Conditions(Box<Conditions>),
    Order(Order),
    Settings(Arc<Accepted>),
    /// The zone in which the schedule is meant.
    Zone(TimeZone),
    /// What stands in the way of any work besides the gate, or that it does not any more.
    Obstacle(Obstacle, Option<Reason>),
    /// What the owner wanted when the engine before this one ended.
    Restored(Wish),
    /// Who carries decisions out, while there is anybody. The answer says that the one before is not used any more.
    Workforce(Option<Arc<dyn Workforce>>, oneshot::Sender<()>),
    /// All work is held until [`Self::GoOn`], whatever the conditions say. The answer says that this is decided.
    Suspend(oneshot::Sender<()>),
    GoOn,
    Stop,
}

/// A command of the owner with the way back for its answer: the state after it.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) command: Command,
    pub(crate) answer: oneshot::Sender<Snapshot>,
}

/// Settings as the decision loop needs them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Accepted {
    pub(crate) limits: Limits,
    pub(crate) wanted: Wanted,
    pub(crate) keep_awake_on_ac: bool,
}

/// Who says that no work is possible; in the order in which that is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Obstacle {
    /// The home's database can't be used.
    Disk,
    /// The files of the setup.
    Setup,
    /// What work needs besides: the worker, the caches.
    Worker,
}

/// Who carries decisions out. None of these may wait for anything.
pub(crate) trait Workforce: Send + Sync + std::fmt::Debug {
    fn decide(&self, decision: Decision);
    /// Ends the newest tasks, so that at most `room` stay in memory.
    fn shed(&self, room: u32);
    /// Tasks that have begun and not ended, whether or not they have a worker just now.
    fn begun(&self) -> u32;
    /// Tasks that are in memory, running or held.
    fn tasks(&self) -> u32;
}

impl Workforce for Work {
    fn decide(&self, decision: Decision) {
        Self::decide(self, decision);
    }

    fn shed(&self, room: u32) {
        Self::shed(self, room);
    }

    fn begun(&self) -> u32 {
        Self::begun(self)
    }

    fn tasks(&self) -> u32 {
        u32::try_from(self.running().len()).unwrap_or(u32::MAX)
    }
}

/// What the presenter hears: a decision, and what it was made from.
#[derive(Debug)]
pub(crate) struct Decided {
    /// What the owner wants; `None` before the disk has told what that was.
    pub(crate) wish: Option<Wish>,
    pub(crate) intent: Intent,
    /// Why nothing may run, in order; empty while it may.
    pub(crate) held: Vec<Reason>,
    /// Why nothing new is started although work may run.
    pub(crate) no_new_work: Option<Reason>,
    /// Why the load is lowered.
    pub(crate) lowered: Option<Reason>,
    pub(crate) presence: PresenceView,
    pub(crate) machine: MachineView,
    /// Who waits for the state after a command that this decision obeys.
    pub(crate) answers: Vec<oneshot::Sender<Snapshot>>,
}

/// What the thread of the sensors hears: all of it each time, so that a message that is lost is made good by the next.
#[derive(Debug, Clone)]
pub(crate) struct SensorOrder {
    pub(crate) pace: Pace,
    pub(crate) settings: Arc<Accepted>,
}

/// The way into the decision loop. Sending never waits; when the loop has ended, nobody hears.
#[derive(Debug, Clone)]
pub(crate) struct Inputs(pub(crate) Sender<Input>);

impl Inputs {
    pub(crate) fn send(&self, input: Input) {
        // The loop has ended, and with it the engine does.
        let _ = self.0.send(input);
    }
}
