//! The one loop that decides: conditions, commands, settings and time in, decisions out.
//!
//! It has a thread of its own. It reads no file, takes no lock that another thread holds for longer than a copy takes, and
//! waits for nothing but its inputs, so that nothing on this machine can delay the moment at which work yields.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use surge_platform::awake::Awake;
use surge_platform::conditions::Conditions;
use surge_platform::load::Load;
use surge_platform::sensors::Pace;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{oneshot, watch};

use super::inputs::{Accepted, Decided, Input, Obstacle, Order, SensorOrder, Workforce};
use super::parts::Part;
use crate::clock::clocks;
use crate::gate::{self, Answer, Decision, GateMemory, Intent, Moment};
use crate::governor::{Governor, govern};
use crate::readings;
use crate::view::{Command, PresenceView, Reason, ReasonCode, Snapshot};
use crate::wish::{Clocks, Pause, Wish};

/// How often time-bound decisions are made again and the snapshot is renewed, and how often while the owner holds work:
/// then nobody waits for a decision, and each look costs the owner.
const TICK: Duration = Duration::from_secs(1);
const TICK_HELD: Duration = Duration::from_secs(2);

/// Where decisions go. None of these waits.
#[derive(Debug)]
pub(super) struct Outputs {
    pub(super) decided: UnboundedSender<Decided>,
    pub(super) sensors: SyncSender<SensorOrder>,
    /// The load on which work may run; `None` while it may not.
    pub(super) load: watch::Sender<Option<Load>>,
}

/// Time since the last input, as it was asked of the source last. Only for showing.
#[derive(Debug, Clone, Default)]
pub(super) struct Idle(Arc<AtomicU64>);

impl Idle {
    pub(super) fn set(&self, idle: Option<Duration>) {
        let millis = idle.map_or(u64::MAX, |idle| u64::try_from(idle.as_millis()).unwrap_or(u64::MAX));
        self.0.store(millis, Ordering::Relaxed);
    }

    fn get(&self) -> Option<Duration> {
        Some(self.0.load(Ordering::Relaxed)).filter(|millis| *millis != u64::MAX).map(Duration::from_millis)
    }
}

/// What the tasks in memory may still take beyond what they have, as it was looked at last.
#[derive(Debug, Clone, Default)]
pub(super) struct Claims {
    bytes: Arc<AtomicU64>,
    tasks: Arc<AtomicU32>,
}

impl Claims {
    pub(super) fn set(&self, bytes: u64, tasks: u32) {
        self.bytes.store(bytes, Ordering::Relaxed);
        self.tasks.store(tasks, Ordering::Relaxed);
    }

    fn get(&self) -> (u64, u32) {
        (self.bytes.load(Ordering::Relaxed), self.tasks.load(Ordering::Relaxed))
    }
}

/// All that decisions depend on.
#[derive(Debug)]
pub(super) struct Decider {
    settings: Arc<Accepted>,
    /// The settings were read. Before, the sensors would look for what nobody asked for.
    settled: bool,
    /// The settings have changed since the sensors were told of them.
    resettled: bool,
    zone: TimeZone,
    boot_id: u128,
    idle: Idle,
    claims: Claims,
    /// Bytes and tasks of `claims` when the newest load was read.
    claimed: (u64, u32),
    wish: Wish,
    /// What the owner wanted before is not known yet: the disk has not answered.
    restoring: bool,
    conditions: Option<Box<Conditions>>,
    obstacles: Vec<(Obstacle, Reason)>,
    workforce: Option<Arc<dyn Workforce>>,
    suspended: bool,
    /// Who waits until it is decided that all work is held.
    suspending: Vec<oneshot::Sender<()>>,
    gate: GateMemory,
    governor: Governor,
    awake: Awake,
    pace: Pace,
    /// What was handed out last.
    published: Decision,
    answers: Vec<oneshot::Sender<Snapshot>>,
    stopping: bool,
}

impl Decider {
    pub(super) fn new(settings: Arc<Accepted>, boot_id: u128, idle: Idle, claims: Claims) -> Self {
        Self {
            settings,
            settled: false,
            resettled: false,
            zone: TimeZone::UTC,
            boot_id,
            idle,
            claims,
            claimed: (0, 0),
            wish: Wish::default(),
            restoring: true,
            conditions: None,
            obstacles: Vec::new(),
            workforce: None,
            suspended: false,
            suspending: Vec::new(),
            gate: GateMemory::default(),
            governor: Governor::default(),
            awake: Awake::default(),
            pace: Pace::Held,
            published: Decision::Hold(Vec::new()),
            answers: Vec::new(),
            stopping: false,
        }
    }

    /// Decides until it is told to stop; work is held then.
    pub(super) fn run(mut self, part: &Part, inbox: &Receiver<Input>, outputs: &Outputs) {
        let mut due = Instant::now();
        loop {
            part.check();
            match inbox.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Ok(input) => self.hear(input),
                Err(RecvTimeoutError::Timeout) => {
                    due = Instant::now() + if self.pace == Pace::Held { TICK_HELD } else { TICK };
                    self.order_sensors(outputs);
                }
                Err(RecvTimeoutError::Disconnected) => self.stopping = true,
            }
            // A decision is made on all that is known by now.
            for input in inbox.try_iter() {
                self.hear(input);
            }
            let now = self.moment();
            let decided = self.decide(&now, &clocks(self.boot_id), outputs);
            if outputs.decided.send(decided).is_err() || self.stopping {
                break;
            }
        }
        self.hold();
    }

    fn moment(&self) -> Moment {
        let tasks = self.workforce.as_ref().map_or(0, |workforce| workforce.tasks());
        let local = Timestamp::now().to_zoned(self.zone.clone());
        // Those that have begun since the load was read have taken nothing of what it showed.
        let (bytes, of) = self.claimed;
        let new = u64::from(tasks.saturating_sub(of)).saturating_mul(self.settings.limits.task_memory);
        Moment { at: Instant::now(), local, idle: self.idle.get(), tasks, may_take: bytes.saturating_add(new) }
    }

    fn hear(&mut self, input: Input) {
        match input {
            Input::Conditions(conditions) => {
                if self.conditions.as_ref().is_none_or(|before| before.load.at != conditions.load.at) {
                    self.claimed = self.claims.get();
                }
                self.conditions = Some(conditions);
            }
            Input::Order(Order { command, answer }) => {
                self.obey(command);
                self.answers.push(answer);
            }
            Input::Settings(settings) => {
                self.settings = settings;
                (self.settled, self.resettled) = (true, true);
            }
            Input::Zone(zone) => self.zone = zone,
            Input::Obstacle(what, reason) => {
                self.obstacles.retain(|(known, _)| *known != what);
                self.obstacles.extend(reason.map(|reason| (what, reason)));
                self.obstacles.sort_by_key(|(what, _)| *what);
            }
            Input::Restored(wish) => {
                // What the owner said meanwhile counts.
                if std::mem::replace(&mut self.restoring, false) {
                    self.wish = wish;
                }
            }
            Input::Workforce(workforce, done) => {
                self.workforce = workforce;
                // The new one holds all work until it hears otherwise.
                self.published = Decision::Hold(Vec::new());
                // Nobody may want to know.
                let _ = done.send(());
            }
            Input::Suspend(decided) => {
                self.suspended = true;
                self.suspending.push(decided);
            }
            Input::GoOn => self.suspended = false,
            Input::Stop => self.stopping = true,
        }
    }

    fn obey(&mut self, command: Command) {
        tracing::info!(?command, "The owner decided");
        let now = clocks(self.boot_id);
        self.wish = match command {
            Command::Pause { seconds: None } => Wish::Pause(Pause::Open),
            Command::Pause { seconds: Some(seconds) } => Wish::pause_for(seconds, &now),
            Command::PauseUntil { unix } => Wish::Pause(Pause::Until(unix)),
            Command::Finish => Wish::Finish,
            Command::Resume => Wish::Run,
            // Other parts do these; here they only have their turn, so that the answer shows the state after them.
            Command::Reload | Command::Stop => return,
        };
        self.restoring = false;
    }

    /// Decides, and hands the decision to those who carry it out before anybody else hears of it.
    fn decide(&mut self, now: &Moment, clocks: &Clocks, outputs: &Outputs) -> Decided {
        self.finish(now.tasks);
        self.wish = self.wish.renewed(clocks);
        let intent = self.wish.intent(clocks);
        let Answer { decision, no_new_work, room } = self.ask_gate(intent, now);
        let feeds_work = self.conditions.as_deref().is_some_and(|all| gate::feeds_work(all, &decision, now.tasks));
        let (decision, lowered) = self.ask_governor(decision, now.at);
        // Before the decision, so that whoever may work knows the load: the gate has found its reading to be fresh.
        outputs.load.send_replace(self.load_to_work_on(&decision));
        self.publish(decision.clone());
        for waiting in self.suspending.drain(..) {
            // It may have given up.
            let _ = waiting.send(());
        }
        if let Some(workforce) = self.workforce.as_ref().filter(|_| now.tasks > room) {
            workforce.shed(room);
        }
        self.awake.keep(self.settings.keep_awake_on_ac && feeds_work);
        self.set_pace(&decision, outputs);
        let limits = &self.settings.limits;
        let conditions = self.conditions.as_deref();
        Decided {
            wish: (!self.restoring).then_some(self.wish),
            intent,
            held: match decision {
                Decision::Run(_) => Vec::new(),
                Decision::Hold(reasons) => reasons,
            },
            no_new_work,
            lowered,
            presence: PresenceView {
                source: conditions.map_or("none", |all| all.presence.source).to_owned(),
                idle_seconds: now.idle.map(|idle| idle.as_secs()),
                idle_after_seconds: limits.idle_after.as_secs(),
            },
            machine: readings::machine(conditions, limits),
            answers: std::mem::take(&mut self.answers),
        }
    }

    /// What was to finish has finished, and is paused. Before there is anybody who knows of tasks, none is known to have.
    fn finish(&mut self, tasks: u32) {
        let Some(workforce) = &self.workforce else { return };
        if self.wish == Wish::Finish && tasks.max(workforce.begun()) == 0 {
            self.wish = Wish::Pause(Pause::Open);
        }
    }

    fn ask_gate(&mut self, intent: Intent, now: &Moment) -> Answer {
        let mut answer = match &self.conditions {
            Some(conditions) => {
                let memory = std::mem::take(&mut self.gate);
                let (answer, memory) = gate::decide(&self.settings.limits, conditions, intent, memory, now);
                self.gate = memory;
                answer
            }
            None => gate::unknown(intent),
        };
        let unable = self.workforce.is_none() || self.suspended || self.stopping || self.restoring;
        let mut reasons: Vec<Reason> = self.obstacles.iter().map(|(_, reason)| reason.clone()).collect();
        match answer.decision {
            Decision::Run(_) if !unable && reasons.is_empty() => return answer,
            Decision::Run(_) => {}
            Decision::Hold(more) => reasons.extend(more),
        }
        if reasons.is_empty() {
            reasons.push(Reason::new(ReasonCode::Starting));
        }
        answer.decision = Decision::Hold(reasons);
        answer
    }

    fn ask_governor(&mut self, decision: Decision, now: Instant) -> (Decision, Option<Reason>) {
        let Some(conditions) = &self.conditions else { return (decision, None) };
        let budget = match &decision {
            Decision::Run(budget) => Some(*budget),
            Decision::Hold(_) => None,
        };
        let memory = std::mem::take(&mut self.governor);
        let (drive, memory) = govern(&self.settings.limits, budget, &conditions.thermal.value, memory, now);
        self.governor = memory;
        (drive.budget.map_or(decision, Decision::Run), drive.lowered)
    }

    fn load_to_work_on(&self, decision: &Decision) -> Option<Load> {
        match decision {
            Decision::Run(_) => self.conditions.as_ref().map(|all| all.load.value),
            Decision::Hold(_) => None,
        }
    }

    /// Hands a decision to the workforce, which knows no reasons: a reason's new numbers wake nobody.
    fn publish(&mut self, decision: Decision) {
        let codes = |reasons: &[Reason]| reasons.iter().map(|reason| reason.code).collect::<Vec<_>>();
        match (&self.published, &decision) {
            (Decision::Run(before), Decision::Run(budget)) if before == budget => return,
            (Decision::Hold(before), Decision::Hold(reasons)) if codes(before) == codes(reasons) => return,
            _ => {}
        }
        // The reason why this loop exists comes first.
        if let Some(workforce) = &self.workforce {
            workforce.decide(decision.clone());
        }
        match (&self.published, &decision) {
            (Decision::Run(_), Decision::Run(_)) => {}
            (_, Decision::Run(budget)) => {
                tracing::info!(workers = budget.workers, share = budget.share, "Work may run");
            }
            (_, Decision::Hold(reasons)) => tracing::info!(reasons = ?codes(reasons), "Work is held"),
        }
        self.published = decision;
    }

    fn hold(&mut self) {
        if let Some(workforce) = &self.workforce {
            workforce.decide(Decision::Hold(Vec::new()));
        }
    }

    fn set_pace(&mut self, decision: &Decision, outputs: &Outputs) {
        let pace = pace(decision);
        if pace != self.pace || self.resettled {
            self.pace = pace;
            self.resettled = false;
            self.order_sensors(outputs);
        }
    }

    fn order_sensors(&self, outputs: &Outputs) {
        if !self.settled {
            return;
        }
        // Where the sensors hang, the next order says the same.
        let _ = outputs.sensors.try_send(SensorOrder { pace: self.pace, settings: Arc::clone(&self.settings) });
    }
}

/// While somebody is here, or nothing may run anyway, readings may be old.
fn pace(decision: &Decision) -> Pace {
    use ReasonCode::{
        NotSetUp, OtherUser, OutsideSchedule, Paused, PresenceUnknown, SettingsInvalid, SetupInvalid, UserActive,
    };
    match decision {
        Decision::Hold(reasons) => match reasons.first().map(|first| first.code) {
            Some(
                Paused | OutsideSchedule | UserActive | OtherUser | PresenceUnknown | NotSetUp | SetupInvalid
                | SettingsInvalid,
            ) => Pace::Held,
            _ => Pace::Waiting,
        },
        Decision::Run(_) => Pace::Running,
    }
}

#[cfg(test)]
mod tests;
