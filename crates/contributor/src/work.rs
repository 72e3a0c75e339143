//! The hands of the work loop: performs what the plan says, and tells it what came of it.
//!
//! A result leaves a worker only into the store, on that worker's own thread, before anybody else hears of it; the courier
//! delivers it from there. Neither an outage nor a crash loses finished work.

mod conclude;
mod errand;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use surge_protocol::api::{Lease, LeaseId, ReturnLease};
use surge_protocol::{Code, Digest, Outcome};
use surge_supervisor::{Budget, Supervisor, Task, WorkerId};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::blobs::{Blobs, Pin};
use crate::clock::unix_now;
use crate::gate::{Decision, NewWork};
use crate::link::Link;
use crate::plan::{Action, Event, Millis, Moment, Plan, Terms};
use crate::store::{Recorded, Store};
use crate::trouble::Troubles;

/// Tasks that are asked for before there is a worker for them.
const PREFETCH: u32 = 1;
/// What the coordinator is told before the engine stops must reach it within this time.
const FAREWELL: Duration = Duration::from_secs(3);

/// A task that runs here.
#[derive(Debug, Clone)]
pub(crate) struct RunningTask {
    pub(crate) worker: WorkerId,
    pub(crate) lease: Digest,
    pub(crate) job_name: String,
    pub(crate) index: u64,
    /// Its lease's place in the order of arrival, which is its rank: the first run when the budget has fewer workers than
    /// there are tasks.
    order: u64,
}

/// What the hands reach.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) link: Link,
    pub(crate) store: Arc<Store>,
    pub(crate) blobs: Blobs,
    /// Outputs of finished tasks until they are delivered.
    pub(crate) outputs: Blobs,
    /// Has a folder for each lease.
    pub(crate) checkpoints: PathBuf,
    /// CPU time between two checkpoints of a task, at least.
    pub(crate) checkpoint_every: Duration,
    pub(crate) supervisor: Supervisor,
    pub(crate) runtime_class: String,
    /// Memory that a task may ask for, bytes.
    pub(crate) memory_limit: u64,
    pub(crate) gate: watch::Sender<Decision>,
    pub(crate) running: Mutex<Vec<RunningTask>>,
    pub(crate) troubles: Troubles,
    pub(crate) load: Mutex<surge_platform::load::LoadMeter>,
    /// Held while an output and its result are stored together, or looked at together.
    pub(crate) keeping: Mutex<()>,
    /// CPU time of workers that have ended, milliseconds.
    pub(crate) ended_ms: AtomicU64,
    /// Tasks that have begun and not ended, whether or not they have a worker just now.
    pub(crate) begun: AtomicU32,
}

impl Work {
    pub(crate) fn begun(&self) -> u32 {
        self.begun.load(Ordering::Relaxed)
    }

    pub(crate) fn running(&self) -> MutexGuard<'_, Vec<RunningTask>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// CPU time of workers that have ended, milliseconds.
    pub(crate) fn ended_ms(&self) -> u64 {
        self.ended_ms.load(Ordering::Relaxed)
    }

    pub(crate) fn keeping(&self) -> MutexGuard<'_, ()> {
        self.keeping.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes a decision and applies it to every worker at once.
    pub(crate) fn decide(&self, decision: Decision) {
        self.supervisor.set_budget(match &decision {
            Decision::Run(budget) => Budget { workers: budget.workers, share: budget.share },
            Decision::Hold(_) => Budget::HOLD,
        });
        self.gate.send_replace(decision);
    }

    /// Ends the newest tasks, so that at most `room` stay in memory.
    pub(crate) fn shed(&self, room: u32) {
        for task in self.running().iter().skip(room as usize) {
            tracing::info!(lease = %task.lease, "A task goes: others need the memory");
            self.supervisor.kill(task.worker);
        }
    }

    fn checkpoints_of(&self, lease: LeaseId) -> PathBuf {
        self.checkpoints.join(lease.to_string())
    }

    fn has_checkpoint(&self, lease: LeaseId) -> bool {
        std::fs::read_dir(self.checkpoints_of(lease)).is_ok_and(|mut files| files.next().is_some())
    }

    /// Lets go of everything that was kept for a lease that is over.
    fn forget(&self, lease: LeaseId) {
        if let Err(error) = self.store.end(lease) {
            tracing::warn!(%error, %lease, "A lease that is over could not be forgotten; the coordinator will be asked");
        }
        // Without checkpoints there is nothing to remove.
        let _ = std::fs::remove_dir_all(self.checkpoints_of(lease));
    }
}

/// What a decision means to the plan.
fn opening(decision: &Decision) -> Event {
    match decision {
        Decision::Run(budget) => Event::Gate { workers: budget.workers, new_work: budget.new_work },
        Decision::Hold(_) => Event::Gate { workers: 0, new_work: NewWork::Here },
    }
}

/// What errands and workers bring back.
#[derive(Debug)]
pub(crate) enum News {
    Event(Event),
    Leased(Box<Lease>),
    /// A task's parts, read for its worker; `None` when they can't be read any more.
    Built(LeaseId, Option<Box<Task>>),
}

/// A lease with what is held for it.
#[derive(Debug)]
struct Case {
    lease: Arc<Lease>,
    order: u64,
    /// What it needs stays in the cache.
    _pins: Vec<Pin>,
    worker: Option<WorkerId>,
    /// It was over before it had a worker.
    cancelled: bool,
}

/// The driver's own state.
#[derive(Debug)]
struct Driver {
    work: Arc<Work>,
    plan: Plan,
    cases: HashMap<LeaseId, Case>,
    arrivals: u64,
    began: Instant,
    news: UnboundedSender<News>,
}

/// Works until the engine stops.
pub(crate) async fn run(work: Arc<Work>) {
    let (news, inbox) = mpsc::unbounded_channel();
    let mut gate = work.gate.subscribe();
    let mut driver = Driver::recover(work, news);
    driver.forget_strays();
    let open = opening(&gate.borrow_and_update());
    driver.step(open);
    driver.work_on(gate, inbox).await;
}

impl Driver {
    /// Goes on where the engine before this one was.
    fn recover(work: Arc<Work>, news: UnboundedSender<News>) -> Self {
        let waiting = work.store.waiting().unwrap_or_else(|error| {
            tracing::error!(%error, "The finished results can't be read");
            Vec::new()
        });
        let recorded = work.store.recorded().unwrap_or_else(|error| {
            tracing::error!(%error, "The leases that ran can't be read");
            Vec::new()
        });
        let now = unix_now();
        let terms = |recorded: &Recorded| recovered_terms(recorded, work.has_checkpoint(recorded.lease.lease), now);
        let held = recorded.iter().map(terms).collect();
        let waiting = waiting.iter().map(|waiting| waiting.signed.result.lease).collect();
        let plan = Plan::new(PREFETCH, held, waiting);
        let mut driver = Self { work, plan, cases: HashMap::new(), arrivals: 0, began: Instant::now(), news };
        for Recorded { lease, .. } in recorded {
            tracing::info!(job = %lease.job_name, index = lease.index, lease = %lease.lease, "A task of the engine before");
            driver.admit(lease);
        }
        driver.count();
        driver
    }

    /// Removes checkpoints that belong to no lease any more.
    fn forget_strays(&self) {
        for entry in std::fs::read_dir(&self.work.checkpoints).into_iter().flatten().flatten() {
            let lease = entry.file_name().to_str().and_then(|name| name.parse::<Digest>().ok());
            if !lease.is_some_and(|lease| self.cases.contains_key(&lease)) {
                // It costs space, nothing else.
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
    }

    async fn work_on(&mut self, mut gate: watch::Receiver<Decision>, mut inbox: UnboundedReceiver<News>) {
        loop {
            let due = self.plan.due().map(|due| self.began + Duration::from_millis(due));
            let tick = async {
                match due {
                    Some(due) => sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                changed = gate.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let open = opening(&gate.borrow_and_update());
                    self.step(open);
                }
                // The sender lives in `self`.
                Some(news) = inbox.recv() => self.hear(news),
                () = tick => self.step(Event::Tick),
            }
        }
    }

    fn hear(&mut self, news: News) {
        match news {
            News::Event(event) => self.step(event),
            News::Leased(lease) => {
                let terms = terms(&lease);
                self.admit(*lease);
                self.step(Event::Leased(terms));
            }
            News::Built(lease, task) => self.built(lease, task),
        }
    }

    /// Says how many tasks have begun.
    fn count(&self) {
        self.work.begun.store(u32::try_from(self.plan.begun()).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    fn admit(&mut self, lease: Lease) {
        self.arrivals += 1;
        let spec = &lease.spec;
        let needed = [spec.module.digest, spec.stdin.digest].into_iter().chain(spec.data.iter().map(|set| set.digest));
        let pins = needed.map(|digest| self.work.blobs.pin(digest)).collect();
        let id = lease.lease;
        let case = Case { lease: Arc::new(lease), order: self.arrivals, _pins: pins, worker: None, cancelled: false };
        self.cases.insert(id, case);
    }

    fn step(&mut self, event: Event) {
        let ended = match &event {
            Event::Ended(lease, _) => Some(*lease),
            _ => None,
        };
        if let Some(lease) = ended {
            self.gone(lease);
        }
        let now = Millis::try_from(self.began.elapsed().as_millis()).unwrap_or(Millis::MAX);
        let mut jitter = [0];
        // Without randomness there is no jitter, which is no harm.
        let _ = getrandom::fill(&mut jitter);
        for action in self.plan.step(event, Moment { now, jitter: jitter[0] }) {
            self.perform(action);
        }
        self.count();
        if let Some(lease) = ended.filter(|lease| !self.plan.holds(*lease)) {
            // Its result is stored, and its checkpoints are forgotten.
            let _ = std::fs::remove_dir_all(self.work.checkpoints_of(lease));
            self.cases.remove(&lease);
        }
    }

    fn perform(&mut self, action: Action) {
        tracing::trace!(?action, "next");
        let case = |lease: &LeaseId| self.cases.get(lease).map(|case| Arc::clone(&case.lease));
        match action {
            Action::Ask => self.send(errand::ask),
            Action::Fetch(lease) => {
                if let Some(lease) = case(&lease) {
                    self.send(|work| errand::fetch(work, lease));
                }
            }
            Action::Start(lease) => {
                if let Some(lease) = case(&lease) {
                    self.send(|work| errand::build(work, lease));
                }
            }
            Action::Kill(lease) => {
                if let Some(case) = self.cases.get_mut(&lease) {
                    match case.worker {
                        Some(worker) => self.work.supervisor.kill(worker),
                        None => case.cancelled = true,
                    }
                }
            }
            Action::Beat(lease, state) => self.send(move |work| errand::beat(work, lease, state)),
            Action::GiveBack(lease, why) => {
                let work = Arc::clone(&self.work);
                tokio::spawn(async move { errand::give_back(&work, lease, why).await });
            }
            Action::Deliver(lease) => self.send(move |work| crate::courier::deliver(work, lease)),
            Action::Forget(lease) => {
                self.work.forget(lease);
                self.cases.remove(&lease);
            }
        }
    }

    /// Sends an errand out; what it brings back is heard like everything else.
    fn send<F>(&self, errand: impl FnOnce(Arc<Work>) -> F)
    where
        F: Future<Output = News> + Send + 'static,
    {
        let (errand, news) = (errand(Arc::clone(&self.work)), self.news.clone());
        tokio::spawn(async move {
            // The driver is gone when the engine stops.
            let _ = news.send(errand.await);
        });
    }

    /// Gives a task that was read to a worker of its own.
    fn built(&mut self, id: LeaseId, task: Option<Box<Task>>) {
        let Some(case) = self.cases.get_mut(&id) else { return };
        let lost = |code| Event::Ended(id, conclude::lost(code));
        let Some(task) = task else { return self.step(lost("input")) };
        if case.cancelled {
            return self.step(lost("killed"));
        }
        let (work, lease, news) = (Arc::clone(&self.work), Arc::clone(&case.lease), self.news.clone());
        let before = conclude::progress(&self.work.checkpoints_of(id));
        let mut running = self.work.running();
        let place = running.partition_point(|task| task.order < case.order);
        let worker = self.work.supervisor.run_then(*task, case.order, move |finished| {
            let ending = conclude::conclude(&work, &lease, finished, before);
            let _ = news.send(News::Event(Event::Ended(lease.lease, ending)));
        });
        case.worker = Some(worker);
        let Case { lease, order, .. } = case;
        let (job_name, index) = (lease.job_name.clone(), lease.index);
        tracing::info!(job = %job_name, index, lease = %id, "Task started");
        running.insert(place, RunningTask { worker, lease: id, job_name, index, order: *order });
    }

    /// A worker is gone.
    fn gone(&mut self, lease: LeaseId) {
        self.work.running().retain(|task| task.lease != lease);
        if let Some(case) = self.cases.get_mut(&lease) {
            case.worker = None;
        }
    }
}

fn terms(lease: &Lease) -> Terms {
    Terms {
        lease: lease.lease,
        job: lease.job,
        limits: lease.spec.limits,
        expires_in: lease.expires_in_seconds.saturating_mul(1_000),
        deadline_in: Some(lease.deadline_in_seconds.saturating_mul(1_000)),
        begun: false,
    }
}

/// The terms of a lease of the engine before, as far as this machine's clock can be believed.
fn recovered_terms(recorded: &Recorded, begun: bool, now: u64) -> Terms {
    let left = |until: u64| until.saturating_sub(now).saturating_mul(1_000);
    // A deadline that is over may also be a clock that is wrong: the coordinator knows.
    let deadline_in = Some(left(recorded.deadline)).filter(|left| *left > 0);
    // A record from the future has another clock.
    let expires_in = left(recorded.expires_at).min(recorded.lease.expires_in_seconds.saturating_mul(1_000));
    Terms { expires_in, deadline_in, begun, ..terms(&recorded.lease) }
}

/// Kills what runs. Tasks that can go on from a checkpoint wait for the next engine; the others are given back, within a
/// moment.
pub(crate) async fn stop(work: &Arc<Work>) {
    for task in std::mem::take(&mut *work.running()) {
        work.supervisor.kill(task.worker);
    }
    let recorded = work.store.recorded().unwrap_or_default();
    let lost = recorded.into_iter().map(|recorded| recorded.lease.lease).filter(|lease| !work.has_checkpoint(*lease));
    let why = ReturnLease { outcome: Some(Outcome::Host), code: Some(Code::word("killed")) };
    let why = &why;
    let give = lost.map(|lease| async move {
        // A lease that could not be given back ends by itself.
        let _ = work.link.give_back(lease, why).await;
        work.forget(lease);
    });
    let _ = tokio::time::timeout(FAREWELL, futures::future::join_all(give)).await;
}
