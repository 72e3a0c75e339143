//! May it run, and how hard? A pure function of limits, conditions, intent, what it remembers, and the time.
//!
//! Each rule is a file of its own and says no with a [`Reason`]; one no is enough. Deliberately absent: sensors, the
//! clock, and how warm the processor may get below the hard stop, which is the [governor](crate::governor)'s.

mod activity;
mod excluded;
mod heat;
mod latch;
mod load;
mod metered;
mod owner;
mod power;
mod presence;
mod room;
mod staleness;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use jiff::Zoned;
use surge_platform::conditions::Conditions;
use surge_platform::presence::Presence;

use crate::schedule::Schedule;
use crate::view::{Reason, ReasonCode};

pub use activity::UseKind;
pub(crate) use heat::stop;
pub use heat::target;
pub(crate) use power::feeds_work;

/// What the owner allows, as gate and governor need it.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    pub idle_after: Duration,
    /// While nobody uses this computer.
    pub away: Allowance,
    /// While somebody does; `None` is not at all.
    pub in_use: Option<Allowance>,
    /// On its battery, whoever is there; `None` is not at all.
    pub battery: Option<Allowance>,
    /// The charge below which nothing runs on the battery, percent.
    pub battery_min_percent: u8,
    pub schedule: Schedule,
    /// Signs of use without input that count.
    pub pause_for: BTreeSet<UseKind>,
    /// Programs whose films, calls and full screens do not count.
    pub ignored_programs: BTreeSet<String>,
    /// Programs while which nothing runs.
    pub excluded_programs: BTreeSet<String>,
    /// CPU of other programs above which nothing runs; `None` is never.
    pub other_load: Option<Thresholds>,
    /// The temperature that the governor keeps, °C.
    pub target_celsius: f32,
    /// Share of a core that a worker gets at most where no sensor tells the temperature.
    pub blind_share: f32,
    /// Raises the load slowly.
    pub gentle: bool,
    /// Memory to leave to others, bytes.
    pub leave_free: u64,
    /// Memory that one task may ask for, bytes.
    pub task_memory: u64,
    /// New tasks are fetched over a metered network too.
    pub use_metered: bool,
}

/// So many workers, each with so much of one core (0 to 1).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Allowance {
    pub workers: u32,
    pub share: f32,
}

/// Above the one it stops, below the other it starts again, percent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    pub stop_above: f32,
    pub start_below: f32,
}

/// What the owner wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    Run,
    /// Lets the running tasks end, starts none.
    Finish,
    /// Paused until this unix second, or until resumed.
    Paused {
        until: Option<u64>,
    },
}

impl Intent {
    /// The intent at `now` (unix seconds): a pause that is over is no pause.
    #[must_use]
    pub fn at(self, now: u64) -> Self {
        match self {
            Self::Paused { until: Some(until) } if until <= now => Self::Run,
            other => other,
        }
    }

    /// The intent when `tasks` are left: what was to finish has finished, and is paused.
    #[must_use]
    pub fn after(self, tasks: u32) -> Self {
        match self {
            Self::Finish if tasks == 0 => Self::Paused { until: None },
            other => other,
        }
    }
}

/// The time, and what else the engine itself knows.
#[derive(Debug, Clone)]
pub struct Moment {
    /// For measuring.
    pub at: Instant,
    /// Local time, for the schedule and for what is shown.
    pub local: Zoned,
    /// Since the last input as the source tells it, for showing only.
    pub idle: Option<Duration>,
    /// Tasks that are in memory, running or held.
    pub tasks: u32,
    /// Memory that they may still take beyond what they had when the load was read, bytes.
    pub may_take: u64,
}

impl Moment {
    /// Unix seconds.
    #[must_use]
    pub fn unix(&self) -> u64 {
        u64::try_from(self.local.timestamp().as_second()).unwrap_or(0)
    }

    fn unix_at(&self, then: Instant) -> u64 {
        let wait = then.saturating_duration_since(self.at);
        self.unix().saturating_add(wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
    }
}

/// The gate's answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    Run(Budget),
    /// Every reason, the decisive one first. Never empty.
    Hold(Vec<Reason>),
}

/// How hard work may run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    pub workers: u32,
    /// Share of one core a worker may use, 0 to 1.
    pub share: f32,
    pub new_work: NewWork,
}

/// Which tasks may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewWork {
    /// Those that are here, and more may be asked for.
    Fetched,
    /// Those that are here.
    Here,
    /// None: those that have begun are finished.
    None,
}

/// A decision with what follows from it.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub decision: Decision,
    /// Why no new task is fetched although work may run.
    pub no_new_work: Option<Reason>,
    /// Tasks that may stay in memory, running or held; the newest of the others have to go.
    pub room: u32,
}

/// What the gate remembers from one decision to the next.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GateMemory {
    presence: latch::Latch,
    activity: activity::UsesSeen,
    excluded: excluded::ProgramsSeen,
    power: power::PowerLatches,
    heat: heat::LastHeat,
    load: latch::Latch,
    room: room::RoomLeft,
    metered: latch::Latch,
    staleness: staleness::LastStale,
}

/// What every rule looks at.
#[derive(Debug, Clone, Copy)]
struct Situation<'a> {
    limits: &'a Limits,
    conditions: &'a Conditions,
    intent: Intent,
    now: &'a Moment,
}

/// Decides, and says what to remember.
#[must_use]
pub fn decide(
    limits: &Limits,
    conditions: &Conditions,
    intent: Intent,
    memory: GateMemory,
    now: &Moment,
) -> (Answer, GateMemory) {
    let mut memory = memory;
    let look = Situation { limits, conditions, intent: intent.at(now.unix()), now };
    let (occupancy, in_use) = presence::rule(&look, &mut memory.presence);
    let room = room::room(&look, &mut memory.room);
    // Every rule looks at every moment, whatever the others say: their memories must not miss one.
    let mut reasons: Vec<Reason> = owner::paused(&look).into_iter().chain(owner::schedule(&look)).collect();
    reasons.extend(in_use);
    reasons.extend(activity::rule(&look, &mut memory.activity));
    reasons.extend(excluded::rule(&look, &mut memory.excluded));
    reasons.extend(power::rule(&look, &mut memory.power));
    reasons.extend(heat::rule(&look, &mut memory.heat));
    reasons.extend(load::rule(&look, &mut memory.load));
    reasons.extend(room::rule(&look, room));
    let stale = staleness::rule(&look, &mut memory.staleness);
    // One stale sensor is enough to tell; presence comes first.
    reasons.extend(stale.filter(|stale| reasons.iter().all(|reason| reason.code != stale.code)));
    let (finishing, metered) = (owner::finishing(&look), metered::rule(&look, &mut memory.metered));
    let new_work = match (&finishing, &metered) {
        (Some(_), _) => NewWork::None,
        (None, Some(_)) => NewWork::Here,
        (None, None) => NewWork::Fetched,
    };
    let decision = if reasons.is_empty() {
        let allowed = allowance(limits, occupancy, power::on_battery(conditions));
        let workers = allowed.workers.min(room);
        Decision::Run(Budget { workers, share: allowed.share, new_work })
    } else {
        Decision::Hold(reasons)
    };
    (Answer { decision, no_new_work: finishing.or(metered), room }, memory)
}

/// The answer before anything is known of this computer: nothing may run.
#[must_use]
pub(crate) fn unknown(intent: Intent) -> Answer {
    let reasons = match intent {
        Intent::Paused { until } => vec![Reason::new(ReasonCode::Paused).until(until)],
        Intent::Run | Intent::Finish => Vec::new(),
    };
    Answer { decision: Decision::Hold(reasons), no_new_work: None, room: u32::MAX }
}

/// What is allowed where no rule says no. A budget that is `None` has made its rule say no.
fn allowance(limits: &Limits, occupancy: presence::Occupancy, on_battery: bool) -> Allowance {
    let here = match occupancy {
        presence::Occupancy::Away => limits.away,
        presence::Occupancy::InUse => limits.in_use.unwrap_or(limits.away),
    };
    match limits.battery.filter(|_| on_battery) {
        None => here,
        Some(battery) => Allowance { workers: here.workers.min(battery.workers), share: here.share.min(battery.share) },
    }
}

/// Whether the conditions are of a machine that its owner declared headless.
fn headless(conditions: &Conditions) -> bool {
    conditions.presence.value == Presence::Headless
}

#[cfg(test)]
pub(crate) mod tests;
