//! Does what the plan says, and tells it what came of it.

use std::any::Any;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use surge_protocol::Digest;
use surge_protocol::api::{Lease, LeaseId, RequestId};
use surge_supervisor::{Task, WorkerId};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinError, JoinSet};

use super::outside::Clock;
use super::recover::terms;
use super::{RunningTask, Work, conclude, deliver, io_tasks};
use crate::blobs::Pin;
use crate::gate::{Decision, NewWork};
use crate::plan::{Action, Asked, Ending, Input, Millis, Moment, Plan};
use crate::view::ReasonCode;

/// What is done and told when the engine stops takes no longer.
pub(super) const FAREWELL: Duration = Duration::from_secs(3);

/// What I/O tasks, workers and the engine tell the driver.
#[derive(Debug)]
pub(super) enum Message {
    Input(Input),
    Leased(Box<Lease>),
    /// A task's parts, read for its worker; `None` when they can't be read any more.
    Built(LeaseId, Option<Built>),
    /// A lease was given back or forgotten, as far as that could be done.
    LetGo,
    /// A thread of a worker, or an I/O task, panicked.
    Panicked(Box<dyn Any + Send>),
    /// At most so many tasks may stay in memory.
    Shed(u32),
    Stop,
}

#[derive(Debug)]
pub(super) struct Built {
    pub(super) task: Box<Task>,
    /// When the newest checkpoint was made that it begins with.
    pub(super) progress: Option<SystemTime>,
}

/// A lease with what is held for it.
#[derive(Debug)]
struct HeldLease {
    lease: Arc<Lease>,
    rank: u64,
    /// What it needs stays in the cache.
    _pins: Vec<Pin>,
    worker: Option<WorkerId>,
    /// It was over before it had a worker.
    cancelled: bool,
}

/// The loop. Made by [`super::recover`].
#[derive(Debug)]
pub(crate) struct Driver {
    work: Arc<Work>,
    plan: Plan,
    held: HashMap<LeaseId, HeldLease>,
    arrivals: u64,
    clock: Box<dyn Clock>,
    began: Duration,
    inbox: UnboundedReceiver<Message>,
    io_tasks: JoinSet<Message>,
    /// The newest request for work.
    asked: Option<RequestId>,
    /// Dropped to cancel it.
    request: Option<oneshot::Sender<()>>,
    /// Leases that are being given back or forgotten: a stop waits for these.
    letting_go: u32,
    /// By the clock, once the engine stops.
    stop_by: Option<Duration>,
}

/// Says that the driver has ended, also when it panics.
struct Ended(watch::Sender<bool>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

/// What a decision means to the plan.
fn opening(decision: &Decision) -> Input {
    match decision {
        Decision::Run(budget) => Input::Gate { workers: budget.workers, new_work: budget.new_work },
        // A pause may last for ever: what has not begun is for somebody else.
        Decision::Hold(reasons) if reasons.first().is_some_and(|first| first.code == ReasonCode::Paused) => {
            Input::Gate { workers: 0, new_work: NewWork::None }
        }
        Decision::Hold(_) => Input::Gate { workers: 0, new_work: NewWork::Here },
    }
}

impl Driver {
    pub(super) fn new(work: Arc<Work>, plan: Plan, clock: Box<dyn Clock>, inbox: UnboundedReceiver<Message>) -> Self {
        let driver = Self {
            work,
            plan,
            held: HashMap::new(),
            arrivals: 0,
            began: clock.now(),
            clock,
            inbox,
            io_tasks: JoinSet::new(),
            asked: None,
            request: None,
            letting_go: 0,
            stop_by: None,
        };
        driver.count();
        driver
    }

    /// Works until [`super::stop`].
    ///
    /// # Panics
    /// When anything that belongs to the loop panics: whoever runs it must hear of that and end the engine.
    pub(crate) async fn run(mut self) {
        let _ended = Ended(self.work.ended.clone());
        let mut gate = self.work.gate.subscribe();
        let open = opening(&gate.borrow_and_update());
        self.handle(open);
        while !(self.plan.has_stopped() && self.letting_go == 0) {
            let due = self.plan.poll_timeout().map(|due| self.began + Duration::from_millis(due));
            let wake = self.stop_by.or(due);
            let tick = async {
                match wake {
                    Some(at) => self.clock.sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                // Both senders live in `self.work`.
                Ok(()) = gate.changed() => {
                    let open = opening(&gate.borrow_and_update());
                    self.handle(open);
                }
                Some(message) = self.inbox.recv() => self.hear(message),
                Some(joined) = self.io_tasks.join_next() => self.hear(message_of(joined)),
                () = tick => {
                    if self.stop_by.is_some_and(|by| by <= self.clock.now()) {
                        tracing::warn!("Stopping took too long; what is held ends by itself");
                        break;
                    }
                    self.plan.handle_timeout(self.moment());
                    self.perform_all();
                }
            }
        }
        self.io_tasks.shutdown().await;
    }

    fn hear(&mut self, message: Message) {
        match message {
            Message::Input(input) => self.handle(input),
            Message::Leased(lease) => {
                let terms = terms(&lease);
                self.admit(*lease);
                self.handle(Input::Leased(terms));
            }
            Message::Built(lease, built) => self.start(lease, built),
            Message::LetGo => self.letting_go -= 1,
            Message::Panicked(panic) => resume_unwind(panic),
            Message::Shed(room) => self.shed(room),
            Message::Stop => {
                self.stop_by = self.stop_by.or(Some(self.clock.now() + FAREWELL));
                self.handle(Input::Stop);
            }
        }
    }

    /// Takes over what is needed for a lease that has come, or is left from the engine before.
    pub(super) fn admit(&mut self, lease: Lease) {
        self.arrivals += 1;
        let spec = &lease.spec;
        let needed = [spec.module.digest, spec.stdin.digest].into_iter().chain(spec.data.iter().map(|set| set.digest));
        let pins = needed.map(|digest| self.work.blobs.pin(digest)).collect();
        let id = lease.lease;
        let held =
            HeldLease { lease: Arc::new(lease), rank: self.arrivals, _pins: pins, worker: None, cancelled: false };
        self.held.insert(id, held);
    }

    fn moment(&self) -> Moment {
        let now = self.clock.now().saturating_sub(self.began);
        let mut jitter = [0];
        // Without randomness there is no jitter, which is no harm.
        let _ = getrandom::fill(&mut jitter);
        Moment { now: Millis::try_from(now.as_millis()).unwrap_or(Millis::MAX), jitter: jitter[0] }
    }

    fn handle(&mut self, input: Input) {
        let mut stored = None;
        if let Input::Ended(lease, ending) = &input {
            self.gone(*lease);
            stored = (*ending == Ending::Stored).then_some(*lease);
        }
        self.plan.handle_input(input, self.moment());
        self.perform_all();
        if let Some(lease) = stored {
            // Its record went when the result was stored; its checkpoints go now.
            self.forget(lease);
        }
    }

    fn perform_all(&mut self) {
        while let Some(action) = self.plan.poll_event() {
            tracing::trace!(?action, "next");
            self.perform(action);
        }
        self.count();
    }

    /// Says how many tasks have begun.
    fn count(&self) {
        self.work.begun.store(u32::try_from(self.plan.begun()).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    fn perform(&mut self, action: Action) {
        let work = Arc::clone(&self.work);
        let lease_of = |lease: &LeaseId| self.held.get(lease).map(|held| Arc::clone(&held.lease));
        match action {
            Action::Ask(asked) => {
                let again = self.asked.filter(|_| asked == Asked::Again);
                let id = *self.asked.insert(again.unwrap_or_else(new_request));
                let (request, cancelled) = oneshot::channel();
                self.request = Some(request);
                self.io_tasks.spawn(io_tasks::ask(work, id, cancelled));
            }
            Action::CancelAsk => self.request = None,
            Action::Decline => {
                // What nobody heard of does not hold up a stop by one try after the other.
                let tries = if self.stop_by.is_some() { 1 } else { io_tasks::MOST_RETURNS };
                if let Some(asked) = self.asked {
                    self.letting_go += 1;
                    self.io_tasks.spawn(io_tasks::decline(work, asked, tries));
                }
            }
            Action::Fetch(lease) => {
                if let Some(lease) = lease_of(&lease) {
                    self.io_tasks.spawn(io_tasks::fetch(work, lease));
                }
            }
            Action::Start(lease) => {
                if let Some(lease) = lease_of(&lease) {
                    self.io_tasks.spawn(io_tasks::build(work, lease));
                }
            }
            Action::Kill(lease) => {
                if let Some(held) = self.held.get_mut(&lease) {
                    match held.worker {
                        Some(worker) => work.supervisor.kill(worker),
                        None => held.cancelled = true,
                    }
                }
            }
            Action::Beat(lease, state) => drop(self.io_tasks.spawn(io_tasks::beat(work, lease, state))),
            Action::GiveBack(lease, why) => {
                self.letting_go += 1;
                self.io_tasks.spawn(io_tasks::give_back(work, lease, why));
            }
            Action::Deliver(lease) => drop(self.io_tasks.spawn(deliver::deliver(work, lease))),
            Action::Forget(lease) => self.forget(lease),
        }
    }

    /// Lets go of everything that was kept for a lease that is over.
    fn forget(&mut self, lease: LeaseId) {
        self.held.remove(&lease);
        self.letting_go += 1;
        self.io_tasks.spawn(io_tasks::forget(Arc::clone(&self.work), lease));
    }

    /// Gives a task that was read to a worker of its own.
    fn start(&mut self, id: LeaseId, built: Option<Built>) {
        let Some(held) = self.held.get_mut(&id) else { return };
        let lost = |code| Input::Ended(id, conclude::lost(code));
        let Some(Built { task, progress }) = built else { return self.handle(lost("input")) };
        if held.cancelled {
            return self.handle(lost("killed"));
        }
        let (work, lease) = (Arc::clone(&self.work), Arc::clone(&held.lease));
        let then = move |finished| {
            let concluded = catch_unwind(AssertUnwindSafe(|| conclude::conclude(&work, &lease, finished, progress)));
            work.tell(match concluded {
                Ok(ending) => Message::Input(Input::Ended(id, ending)),
                Err(panic) => Message::Panicked(panic),
            });
        };
        let worker = self.work.supervisor.run(*task, held.rank, Box::new(then));
        held.worker = Some(worker);
        let (job_name, index, rank) = (held.lease.job_name.clone(), held.lease.index, held.rank);
        tracing::info!(job = %job_name, index, lease = %id, "Task started");
        let task = RunningTask { worker, lease: id, job_name, index, rank };
        self.work.running.send_modify(|running| {
            running.insert(running.partition_point(|other| other.rank < rank), task);
        });
    }

    fn gone(&mut self, lease: LeaseId) {
        self.work.running.send_modify(|running| running.retain(|task| task.lease != lease));
        if let Some(held) = self.held.get_mut(&lease) {
            held.worker = None;
        }
    }

    fn shed(&self, room: u32) {
        for task in self.work.running.borrow().iter().skip(room as usize) {
            tracing::info!(lease = %task.lease, "A task goes: others need the memory");
            self.work.supervisor.kill(task.worker);
        }
    }
}

fn new_request() -> RequestId {
    let mut id = [0; 32];
    getrandom::fill(&mut id).expect("the system's random source never fails on supported systems");
    Digest(id)
}

fn message_of(joined: Result<Message, JoinError>) -> Message {
    // An I/O task is aborted only when the loop is over.
    joined.unwrap_or_else(|error| Message::Panicked(error.into_panic()))
}
