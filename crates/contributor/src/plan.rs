//! Decides what the work loop does next: a state machine without I/O.
//!
//! The driver in `work` tells it what happened (`handle_input`) and that time has passed (`handle_timeout`), asks what is to
//! be done (`poll_event`) and when it must be called again (`poll_timeout`). Every lease ends in a delivered result, given
//! back, left to the next engine with its checkpoint, or over by the coordinator's word or its deadline.
//! Deliberately absent: I/O, clocks, randomness. Time is passed in as milliseconds of a clock that never goes back and
//! counts the machine's sleep, jitter as a byte.

mod asking;
mod delivery;
mod ending;
mod task;
#[cfg(test)]
mod tests;
mod words;

use std::collections::{BTreeMap, VecDeque};

use surge_protocol::api::{JobId, LeaseId, LeaseState};
use surge_protocol::{Code, Outcome};

use crate::gate::NewWork;

use asking::{Again, Asking};
use delivery::Delivery;
pub(crate) use task::Terms;
use task::{Phase, Task};
pub(crate) use words::{Action, Asked, Ending, Heard, Input, Moment, Obstacle};

/// Milliseconds since the engine's start, the machine's sleep included.
pub(crate) type Millis = u64;
/// A failure of this host, when it is one for which a lease is given back.
type Why = Option<(Outcome, Code)>;

const SECOND: Millis = 1_000;
const MINUTE: Millis = 60 * SECOND;
/// A task that is paused for so long, and has no slack, is for somebody else.
const LONGEST_PAUSE: Millis = 15 * MINUTE;
/// A task that waits behind another for so long is for somebody else.
const LONGEST_WAIT: Millis = 10 * MINUTE;
/// The next task is asked for when one that runs may end within this time.
const AHEAD: Millis = MINUTE;
/// A lease that was given under a request without an answer is kept for so long, in the hope that the request is made again.
const SOON: Millis = 30 * SECOND;
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
    asking: Asking,
    /// In a row, and this host's fault.
    host_failures: u32,
    /// A task that was asked for ahead waited too long: none is asked for ahead before another ends.
    overreached: bool,
    /// How long the newest task of a job ran, time in which it was paused left out.
    lengths: BTreeMap<JobId, Millis>,
    delivery: Delivery,
    /// The engine stops.
    stopping: bool,
    /// What is to be done, in order, until it is polled.
    actions: VecDeque<Action>,
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
            asking: Asking::new(),
            host_failures: 0,
            overreached: false,
            lengths: BTreeMap::new(),
            delivery: Delivery::new(waiting),
            stopping: false,
            actions: VecDeque::new(),
        }
    }

    /// Takes in what happened.
    pub(crate) fn handle_input(&mut self, input: Input, moment: Moment) {
        self.take_in(input, moment);
        self.go_on(moment.now);
    }

    /// Does what is due at this moment.
    pub(crate) fn handle_timeout(&mut self, moment: Moment) {
        self.go_on(moment.now);
    }

    /// What is to be done next; `None` when that is all for now.
    pub(crate) fn poll_event(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`Self::handle_timeout`] is due at the latest.
    pub(crate) fn poll_timeout(&self) -> Option<Millis> {
        if self.stopping {
            return None;
        }
        let tasks = self.tasks.iter().filter_map(|task| task.due(self.workers > 0));
        [self.wants_task_at(), self.delivery.due()].into_iter().flatten().chain(tasks).min()
    }

    fn go_on(&mut self, now: Millis) {
        if self.stopping {
            self.decline(now);
            self.give_back(now);
            return;
        }
        self.let_go(now);
        self.give_back(now);
        self.begin(now);
        self.keep_alive(now);
        // By now it is known which tasks run, and thus when another is wanted.
        self.decline(now);
        self.ask(now);
        self.delivery.begin(now, &mut self.actions);
    }

    fn take_in(&mut self, input: Input, moment: Moment) {
        let Moment { now, jitter: _ } = moment;
        match input {
            Input::Gate { workers, new_work } => self.gate(workers, new_work, now),
            Input::Leased(terms) => self.leased(terms, now),
            Input::Nothing { after } => self.asking.brought_nothing(after, moment),
            Input::AskFailed { after } => self.asking.failed(after, moment),
            Input::AnswerLost { after } => self.asking.answer_lost(after, moment),
            Input::AskCancelled => self.asking.cancelled(now),
            Input::Fetched(lease) => {
                if let Some(task) = self.task(lease).filter(|task| task.phase == Phase::Fetching) {
                    task.phase = Phase::Ready { since: now };
                }
            }
            Input::NotFetched(lease, obstacle) => self.not_fetched(lease, &obstacle, moment),
            Input::Ended(lease, ending) => self.ended(lease, ending, moment),
            Input::Beaten(lease, heard) => self.beaten(lease, heard, moment),
            Input::Delivered(lease) => self.delivery.delivered(lease, now),
            Input::DeliveryFailed(lease, after) => self.delivery.failed(lease, after, moment),
            Input::Stop => self.stop(),
        }
    }

    fn gate(&mut self, workers: u32, new_work: NewWork, now: Millis) {
        if self.stopping {
            return;
        }
        (self.workers, self.new_work) = (workers, new_work);
        if workers == 0 || new_work != NewWork::Fetched {
            // A task that came now would go back at once.
            self.asking.cancel(&mut self.actions);
        }
        self.pause_and_resume(now);
    }

    fn leased(&mut self, terms: Terms, now: Millis) {
        self.asking.brought_task(now);
        if self.workers == 0 {
            // Held meanwhile: somebody else may have it at once.
            self.asking.give_back(terms.lease, None);
            return;
        }
        self.tasks.push(Task::leased(terms, now));
    }

    fn not_fetched(&mut self, lease: LeaseId, obstacle: &Obstacle, moment: Moment) {
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
        self.drop_task(lease, Some(why));
    }

    fn beaten(&mut self, lease: LeaseId, heard: Heard, moment: Moment) {
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
            Heard::Over => self.drop_task(lease, None),
            Heard::Failed => {
                task.beat_failures += 1;
                task.beat_at = now + delay(None, task.beat_failures, jitter);
            }
        }
    }

    fn begin(&mut self, now: Millis) {
        for task in &mut self.tasks {
            if matches!(task.phase, Phase::Unfetched { again_at } if again_at <= now) {
                task.phase = Phase::Fetching;
                self.actions.push_back(Action::Fetch(task.terms.lease));
            }
        }
        let busy = self.tasks.iter().filter(|task| task.has_worker()).count();
        let free = (self.workers as usize).saturating_sub(busy);
        for task in self.tasks.iter_mut().filter(|task| matches!(task.phase, Phase::Ready { .. })).take(free) {
            task.phase = Phase::Running;
            self.actions.push_back(Action::Start(task.terms.lease));
        }
        self.pause_and_resume(now);
    }

    fn keep_alive(&mut self, now: Millis) {
        let may_run = self.workers > 0;
        for task in self.tasks.iter_mut().filter(|task| task.beat_due(may_run).is_some_and(|due| due <= now)) {
            task.beating = true;
            let state = if task.paused_since.is_some() { LeaseState::Paused } else { LeaseState::Running };
            self.actions.push_back(Action::Beat(task.terms.lease, state));
        }
        self.delivery.keep_alive(now, &mut self.actions);
    }

    /// Gives back what came of a request without an answer, unless the same request is soon made again.
    fn decline(&mut self, now: Millis) {
        let soon = !self.stopping && self.wants_task_at().is_some_and(|at| at <= now + SOON);
        self.asking.decline(if soon { Again::Soon } else { Again::NotSoon }, &mut self.actions);
    }

    fn ask(&mut self, now: Millis) {
        if self.wants_task_at().is_some_and(|at| at <= now) {
            self.asking.begin(&mut self.actions);
        }
    }

    /// From when on another task is asked for: one that would have a worker, or soon.
    fn wants_task_at(&self) -> Option<Millis> {
        let workers = self.workers as usize;
        let not_before = self.asking.next()?;
        if self.new_work != NewWork::Fetched {
            return None;
        }
        if self.tasks.len() < workers {
            return Some(not_before);
        }
        let most = workers.saturating_add(self.prefetch as usize);
        if workers == 0 || self.overreached || self.tasks.len() >= most {
            return None;
        }
        let ends = self.tasks.iter().filter_map(|task| self.may_end(task)).min();
        ends.map(|ends| ends.max(not_before))
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

    /// Tasks that are to be finished where no other is begun.
    pub(crate) fn begun(&self) -> usize {
        self.tasks.iter().filter(|task| task.has_begun()).count()
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
