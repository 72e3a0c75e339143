//! The work loop without hands: from what happened and the time follows what is done next.
//!
//! A plain value that is told events and answers with actions; the driver in `work` performs them and tells what came of
//! it. Every lease ends in a delivered result, given back, or over by the coordinator's word or its deadline.
//! Deliberately absent: I/O, clocks, randomness. Time is passed in as milliseconds of a clock that never goes back,
//! jitter as a byte.

mod delivery;
mod task;
#[cfg(test)]
mod tests;
mod words;

use std::collections::BTreeMap;

use surge_protocol::api::{JobId, LeaseId, LeaseState};
use surge_protocol::{Code, Outcome};

use crate::gate::NewWork;

use delivery::Delivery;
pub(crate) use task::Terms;
use task::{Phase, Task};
pub(crate) use words::{Action, Ending, Event, Heard, Moment, Obstacle};

/// Milliseconds since the engine's start.
pub(crate) type Millis = u64;

const SECOND: Millis = 1_000;
const MINUTE: Millis = 60 * SECOND;
/// A task that is paused for so long, and has no slack, is for somebody else.
const LONGEST_PAUSE: Millis = 15 * MINUTE;
/// A task that waits behind another for so long is for somebody else.
const LONGEST_WAIT: Millis = 10 * MINUTE;
/// The next task is asked for when one that runs may end within this time.
const AHEAD: Millis = MINUTE;
/// How often a task is begun again whose worker came to a bad end, and a download that failed.
const MOST_TRIES: u32 = 3;
const MOST_FETCHES: u32 = 6;
/// Bounds of a delay that the coordinator asks for.
const SHORTEST_DELAY: Millis = SECOND;
const LONGEST_DELAY: Millis = 10 * MINUTE;
/// Jobs of which it is remembered how long their tasks run.
const MOST_LENGTHS: usize = 64;

/// Everything that the loop knows.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Tasks asked for beyond those that can run.
    prefetch: u32,
    workers: u32,
    new_work: NewWork,
    /// In order of arrival.
    tasks: Vec<Task>,
    asking: bool,
    ask_at: Millis,
    ask_failures: u32,
    /// In a row, and this host's fault.
    host_failures: u32,
    /// A task that was asked for ahead waited too long: none is asked for ahead before another ends.
    overreached: bool,
    /// How long the newest task of a job ran, time in which it was paused left out.
    lengths: BTreeMap<JobId, Millis>,
    delivery: Delivery,
}

impl Plan {
    /// The plan of an engine that was just started, at time 0: `held` are the leases of the one before it, `waiting` the
    /// results that it did not deliver, oldest first.
    pub(crate) fn new(prefetch: u32, held: Vec<Terms>, waiting: Vec<LeaseId>) -> Self {
        Self {
            prefetch,
            workers: 0,
            new_work: NewWork::Here,
            tasks: held.into_iter().map(Task::recovered).collect(),
            asking: false,
            ask_at: 0,
            ask_failures: 0,
            host_failures: 0,
            overreached: false,
            lengths: BTreeMap::new(),
            delivery: Delivery::new(waiting),
        }
    }

    /// Takes an event in, and says what is to be done now.
    pub(crate) fn step(&mut self, event: Event, moment: Moment) -> Vec<Action> {
        let mut actions = Vec::new();
        self.take_in(event, moment, &mut actions);
        self.let_go(moment.now, &mut actions);
        self.begin(moment.now, &mut actions);
        self.keep_alive(moment.now, &mut actions);
        self.ask(moment.now, &mut actions);
        self.delivery.begin(moment.now, &mut actions);
        actions
    }

    /// When a `Tick` is due at the latest.
    pub(crate) fn due(&self) -> Option<Millis> {
        let ask = self.wants_task_at().filter(|_| !self.asking);
        let tasks = self.tasks.iter().filter_map(|task| task.due(self.workers > 0));
        [ask, self.delivery.due()].into_iter().flatten().chain(tasks).min()
    }

    fn take_in(&mut self, event: Event, moment: Moment, actions: &mut Vec<Action>) {
        let Moment { now, jitter } = moment;
        match event {
            Event::Tick => {}
            Event::Gate { workers, new_work } => {
                (self.workers, self.new_work) = (workers, new_work);
                self.pause_and_resume(now);
            }
            Event::Leased(terms) => self.leased(terms, now, actions),
            Event::Nothing { after } => {
                (self.asking, self.ask_failures) = (false, 0);
                self.ask_at = self.ask_at.max(now + jittered(after.clamp(SHORTEST_DELAY, LONGEST_DELAY), jitter));
            }
            Event::AskFailed { after } => {
                self.asking = false;
                self.ask_failures += 1;
                self.ask_at = self.ask_at.max(now + delay(after, self.ask_failures, jitter));
            }
            Event::Fetched(lease) => {
                if let Some(task) = self.task(lease).filter(|task| task.phase == Phase::Fetching) {
                    task.phase = Phase::Ready { since: now };
                }
            }
            Event::NotFetched(lease, obstacle) => self.not_fetched(lease, &obstacle, moment, actions),
            Event::Ended(lease, ending) => self.ended(lease, ending, moment, actions),
            Event::Beaten(lease, heard) => self.beaten(lease, heard, moment, actions),
            Event::Delivered(lease) => self.delivery.delivered(lease, now),
            Event::DeliveryFailed(lease, after) => self.delivery.failed(lease, after, moment),
        }
    }

    fn leased(&mut self, terms: Terms, now: Millis, actions: &mut Vec<Action>) {
        self.asking = false;
        self.ask_failures = 0;
        if self.workers == 0 {
            // Held meanwhile: somebody else may have it at once. Not again with every touch of a key.
            self.ask_at = self.ask_at.max(now + 5 * SECOND);
            actions.extend([Action::GiveBack(terms.lease, None), Action::Forget(terms.lease)]);
            return;
        }
        self.tasks.push(Task::leased(terms, now));
    }

    fn not_fetched(&mut self, lease: LeaseId, obstacle: &Obstacle, moment: Moment, actions: &mut Vec<Action>) {
        let Some(task) = self.task(lease).filter(|task| task.phase == Phase::Fetching) else { return };
        task.fetches += 1;
        if *obstacle == Obstacle::Line && task.fetches < MOST_FETCHES {
            task.phase = Phase::Unfetched { again_at: moment.now + delay(None, task.fetches, moment.jitter) };
            return;
        }
        let why = match obstacle {
            Obstacle::Line => None,
            Obstacle::Host => Some((Outcome::Host, Code::word("input"))),
            Obstacle::Unfit => Some((Outcome::Invalid, Code::word("task"))),
        };
        if *obstacle != Obstacle::Unfit {
            self.trouble_here(moment);
        }
        self.drop_task(lease, Some(why), actions);
    }

    fn ended(&mut self, lease: LeaseId, ending: Ending, moment: Moment, actions: &mut Vec<Action>) {
        self.overreached = false;
        let Some(task) = self.task(lease) else { return };
        let (leaving, job, length) = (task.phase == Phase::Leaving, task.terms.job, task.ran(moment.now));
        let (beat_at, beating) = (task.beat_at, task.beating);
        // Its worker is gone: nothing is to be killed any more.
        task.phase = Phase::Leaving;
        match ending {
            Ending::Stored => {
                self.host_failures = 0;
                self.remember(job, length);
                self.tasks.retain(|task| task.terms.lease != lease);
                self.delivery.add(lease, beat_at, beating);
            }
            _ if leaving => self.drop_task(lease, None, actions),
            Ending::Lost { further, .. } if further || task.tries < MOST_TRIES => {
                task.tries = if further { 0 } else { task.tries + 1 };
                task.phase = Phase::Ready { since: moment.now };
            }
            Ending::Lost { outcome, code, .. } => {
                self.trouble_here(moment);
                self.drop_task(lease, Some(Some((outcome, code))), actions);
            }
            Ending::NoVote { outcome, code, here } => {
                if here {
                    self.trouble_here(moment);
                } else {
                    self.host_failures = 0;
                }
                self.drop_task(lease, Some(Some((outcome, code))), actions);
            }
        }
        self.pause_and_resume(moment.now);
    }

    fn beaten(&mut self, lease: LeaseId, heard: Heard, moment: Moment, actions: &mut Vec<Action>) {
        let Moment { now, jitter } = moment;
        if self.delivery.beaten(lease, heard, moment) {
            return;
        }
        let Some(task) = self.task(lease).filter(|task| task.phase != Phase::Leaving) else { return };
        task.beating = false;
        match heard {
            Heard::Extended(term) => {
                task.beat_failures = 0;
                task.beat_at = now + third(term);
                if task.phase == Phase::Doubtful {
                    task.phase = Phase::Unfetched { again_at: now };
                }
            }
            Heard::Over => self.drop_task(lease, None, actions),
            Heard::Failed => {
                task.beat_failures += 1;
                task.beat_at = now + delay(None, task.beat_failures, jitter);
            }
        }
    }

    /// Ends what will not be finished: it is for somebody else.
    fn let_go(&mut self, now: Millis, actions: &mut Vec<Action>) {
        for at in (0..self.tasks.len()).rev() {
            let task = &self.tasks[at];
            if task.phase == Phase::Leaving {
                continue;
            }
            let lease = task.terms.lease;
            let begins = self.new_work != NewWork::None || task.has_begun();
            if now >= task.deadline {
                // The coordinator knows that.
                self.drop_task(lease, None, actions);
            } else if !begins || task.hopeless(self.length(task), now) {
                self.drop_task(lease, Some(None), actions);
            } else if task.waited_too_long(now) {
                self.overreached = true;
                self.drop_task(lease, Some(None), actions);
            }
        }
    }

    fn begin(&mut self, now: Millis, actions: &mut Vec<Action>) {
        for task in &mut self.tasks {
            if matches!(task.phase, Phase::Unfetched { again_at } if again_at <= now) {
                task.phase = Phase::Fetching;
                actions.push(Action::Fetch(task.terms.lease));
            }
        }
        let busy = self.tasks.iter().filter(|task| task.has_worker()).count();
        let free = (self.workers as usize).saturating_sub(busy);
        for task in self.tasks.iter_mut().filter(|task| matches!(task.phase, Phase::Ready { .. })).take(free) {
            task.phase = Phase::Running;
            actions.push(Action::Start(task.terms.lease));
        }
        self.pause_and_resume(now);
    }

    fn keep_alive(&mut self, now: Millis, actions: &mut Vec<Action>) {
        let may_run = self.workers > 0;
        for task in self.tasks.iter_mut().filter(|task| task.beat_due(may_run).is_some_and(|due| due <= now)) {
            task.beating = true;
            let state = if task.paused_since.is_some() { LeaseState::Paused } else { LeaseState::Running };
            actions.push(Action::Beat(task.terms.lease, state));
        }
        self.delivery.keep_alive(now, actions);
    }

    fn ask(&mut self, now: Millis, actions: &mut Vec<Action>) {
        if !self.asking && self.wants_task_at().is_some_and(|at| at <= now) {
            self.asking = true;
            actions.push(Action::Ask);
        }
    }

    /// From when on another task is asked for: one that would have a worker, or soon.
    fn wants_task_at(&self) -> Option<Millis> {
        let workers = self.workers as usize;
        if self.new_work != NewWork::Fetched {
            return None;
        }
        if self.tasks.len() < workers {
            return Some(self.ask_at);
        }
        let most = workers.saturating_add(self.prefetch as usize);
        if workers == 0 || self.overreached || self.tasks.len() >= most {
            return None;
        }
        let ends = self.tasks.iter().filter_map(|task| self.may_end(task)).min();
        ends.map(|ends| ends.max(self.ask_at))
    }

    /// From when on `task` may be about to end.
    fn may_end(&self, task: &Task) -> Option<Millis> {
        let since = task.running_since?;
        let left = self.length(task).map_or(0, |length| length.saturating_sub(task.ran_before));
        Some((since + left).saturating_sub(AHEAD))
    }

    fn length(&self, task: &Task) -> Option<Millis> {
        self.lengths.get(&task.terms.job).copied()
    }

    fn remember(&mut self, job: JobId, length: Millis) {
        if self.lengths.len() >= MOST_LENGTHS && !self.lengths.contains_key(&job) {
            self.lengths.pop_first();
        }
        self.lengths.insert(job, length);
    }

    /// Nothing new for a while: what fails here would fail again.
    fn trouble_here(&mut self, moment: Moment) {
        self.host_failures += 1;
        self.ask_at = self.ask_at.max(moment.now + delay(None, self.host_failures + 2, moment.jitter));
    }

    /// Ends a task. `told`: the coordinator is told, with a failure of this host if there was one.
    fn drop_task(&mut self, lease: LeaseId, told: Option<Option<(Outcome, Code)>>, actions: &mut Vec<Action>) {
        let Some(at) = self.tasks.iter().position(|task| task.terms.lease == lease) else { return };
        if let Some(why) = told {
            actions.push(Action::GiveBack(lease, why));
        }
        if self.tasks[at].phase == Phase::Running {
            self.tasks[at].phase = Phase::Leaving;
            actions.push(Action::Kill(lease));
            return;
        }
        self.tasks.remove(at);
        actions.push(Action::Forget(lease));
    }

    /// Tasks that are to be finished where no other is begun.
    pub(crate) fn begun(&self) -> usize {
        self.tasks.iter().filter(|task| task.has_begun()).count()
    }

    /// Whether it has a task under this lease that is not finished.
    pub(crate) fn holds(&self, lease: LeaseId) -> bool {
        self.tasks.iter().any(|task| task.terms.lease == lease)
    }

    fn task(&mut self, lease: LeaseId) -> Option<&mut Task> {
        self.tasks.iter_mut().find(|task| task.terms.lease == lease)
    }

    /// Notes which tasks run and which are paused. The first workers run, as the driver gives them their shares.
    fn pause_and_resume(&mut self, now: Millis) {
        let mut left = self.workers;
        let held = self.workers == 0;
        for task in &mut self.tasks {
            let runs = task.has_worker() && left > 0;
            if task.has_worker() {
                left = left.saturating_sub(1);
            }
            task.set_running(runs && task.phase == Phase::Running, now);
            let paused = if task.has_worker() { !runs } else { held };
            task.paused_since = paused.then(|| task.paused_since.unwrap_or(now));
        }
    }
}

/// Three heartbeats in a lease's life.
fn third(term: Millis) -> Millis {
    (term / 3).clamp(SECOND, 5 * MINUTE)
}

/// Doubles from one second to a minute, unless the other side named a delay; with up to a quarter more.
fn delay(named: Option<Millis>, failures: u32, jitter: u8) -> Millis {
    let base = match named {
        Some(named) => named.clamp(SHORTEST_DELAY, LONGEST_DELAY),
        None => (SECOND << failures.saturating_sub(1).min(6)).min(MINUTE),
    };
    jittered(base, jitter)
}

fn jittered(base: Millis, jitter: u8) -> Millis {
    base + base / 4 * u64::from(jitter) / 255
}
