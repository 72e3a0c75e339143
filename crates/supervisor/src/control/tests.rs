//! The control thread without a thread and without processes: commands and events go in, and what is done to processes that
//! only exist here comes out, in its order. Time is passed in.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::mpsc;

use surge_platform::process::{Activity, Allowance};

use super::*;
use crate::child::Child;
use crate::on_end::OnEnd;
use crate::{Finished, Task};

/// What was done to processes, in its order.
type Done = Arc<Mutex<Vec<(u32, &'static str)>>>;

/// A process that computes whenever it may.
#[derive(Debug)]
struct Fake {
    pid: u32,
    done: Done,
    cpu: Mutex<Duration>,
    activity: Mutex<Activity>,
    allowance: Mutex<Allowance>,
}

impl Fake {
    fn note(&self, act: &'static str) {
        self.done.lock().unwrap().push((self.pid, act));
    }
}

impl Child for Fake {
    fn pid(&self) -> u32 {
        self.pid
    }

    fn suspend(&self) {
        self.note("suspend");
    }

    fn resume(&self) {
        self.note("resume");
    }

    fn kill(&self) {
        self.note("kill");
    }

    fn cpu_time(&self) -> Duration {
        *self.cpu.lock().unwrap()
    }

    fn allow_cpu(&self, _: u64) -> Allowance {
        *self.allowance.lock().unwrap()
    }

    fn activity(&self) -> Activity {
        *self.activity.lock().unwrap()
    }
}

const STALL: Duration = Duration::from_secs(30);
const SECOND: Duration = Duration::from_secs(1);

/// A control thread's state, with a test in place of the spawner and of the threads of each worker.
struct Stand {
    control: Control,
    orders: Receiver<Order>,
    ends: (Sender<Finished>, Receiver<Finished>),
    processes: BTreeMap<u64, Arc<Fake>>,
    done: Done,
    now: Instant,
    _inbox: Receiver<Command>,
}

impl Stand {
    fn new() -> Self {
        let (commands, _inbox) = mpsc::channel();
        let (spawner, orders) = mpsc::channel();
        let config = Config { stall_after: STALL, ..Config::new("/nowhere".into()) };
        let control = Control::new(config, commands, spawner, Roster::default());
        let (processes, done) = (BTreeMap::new(), Done::default());
        Self { control, orders, ends: mpsc::channel(), processes, done, now: Instant::now(), _inbox }
    }

    fn handle(&mut self, command: Command) {
        self.control.handle(command, self.now);
    }

    fn worker_event(&mut self, n: u64, event: WorkerEvent) {
        self.handle(Command::WorkerEvent { id: WorkerId(n), event });
    }

    fn budget(&mut self, workers: u32, share: f32) {
        self.handle(Command::SetBudget(Budget { workers, share }));
    }

    /// Hands worker `n` to the spawner.
    fn order(&mut self, n: u64, allotment: Allotment) {
        let (id, ends) = (WorkerId(n), self.ends.0.clone());
        let on_end = OnEnd::passing(id, move |finished| ends.send(finished).unwrap());
        let job = Job { task: Task::new(*b"module"), on_log: Box::new(|_| {}), on_end };
        self.handle(Command::Run { id, allotment, job: Box::new(job) });
    }

    /// The process of worker `n` comes to be.
    fn fork(&mut self, n: u64) {
        let (cpu, activity) = (Mutex::default(), Mutex::new(Activity::Running));
        // So much that no test but its own has to look for it.
        let allowance = Mutex::new(Allowance { left: 1_000_000 * SECOND, ran_out: false });
        let process = Arc::new(Fake { pid: n as u32, done: Arc::clone(&self.done), cpu, activity, allowance });
        self.processes.insert(n, Arc::clone(&process));
        self.worker_event(n, WorkerEvent::Forked(process));
    }

    /// Worker `n`, from its order to the first look at it as the worker program.
    fn start(&mut self, n: u64, allotment: Allotment) {
        self.order(n, allotment);
        self.fork(n);
        self.worker_event(n, WorkerEvent::Executing);
    }

    /// The share of the worker that was ordered last, as the spawner finds it.
    fn ordered_share(&self) -> f32 {
        self.orders.try_iter().last().expect("an order").decided.share()
    }

    /// What was done since the last look here.
    fn done(&self) -> Vec<(u32, &'static str)> {
        std::mem::take(&mut self.done.lock().unwrap())
    }

    /// Goes on in time to the next look at a worker.
    fn wait(&mut self) {
        self.now = self.control.due().expect("something to wait for");
        self.control.look_after_workers(self.now);
    }

    /// What worker `n` is found to have left.
    fn allowance(&self, n: u64, left: Duration, ran_out: bool) {
        *self.processes[&n].allowance.lock().unwrap() = Allowance { left, ran_out };
    }

    fn is_killed(&self, n: u64) -> bool {
        self.control.workers[&WorkerId(n)].is_killed()
    }
}

const FREE: Allotment = Allotment::Fixed(1.0);

#[test]
fn a_worker_that_is_being_started_delays_no_suspension() {
    let mut stand = Stand::new();
    stand.budget(2, 1.0);
    stand.start(1, Allotment::Ranked(1));
    stand.order(2, Allotment::Ranked(2));
    assert_eq!(stand.ordered_share(), 1.0);
    stand.budget(0, 0.0);
    assert_eq!(stand.done(), [(1, "suspend")], "before the second has a process");
    stand.fork(2);
    assert_eq!(stand.done(), [], "what is not the worker program yet goes on");
    stand.worker_event(2, WorkerEvent::Executing);
    assert_eq!(stand.done(), [(2, "suspend")]);
    stand.budget(1, 1.0);
    assert_eq!(stand.done(), [(1, "resume")]);
}

#[test]
fn a_share_is_decided_before_the_worker_is_ordered() {
    let mut stand = Stand::new();
    stand.budget(1, 0.5);
    stand.order(1, Allotment::Ranked(7));
    assert_eq!(stand.ordered_share(), 0.5);
    stand.order(2, Allotment::Ranked(8));
    assert_eq!(stand.ordered_share(), 0.0);
    stand.order(3, Allotment::Fixed(0.25));
    assert_eq!(stand.ordered_share(), 0.25);
}

#[test]
fn those_that_lose_their_share_are_suspended_before_anybody_is_resumed() {
    let mut stand = Stand::new();
    stand.budget(1, 1.0);
    for n in [3, 2, 1] {
        stand.start(n, Allotment::Ranked(n));
    }
    // The lowest rank came last, and took the place of the others one after the other.
    assert_eq!(stand.done(), [(3, "suspend"), (2, "suspend")]);
    stand.handle(Command::Kill { id: WorkerId(1) });
    assert_eq!(stand.done(), [(1, "kill"), (2, "resume")], "its place is free before it is gone");
    stand.worker_event(1, WorkerEvent::Gone);
    assert_eq!(stand.done(), []);
    stand.worker_event(2, WorkerEvent::Gone);
    assert_eq!(stand.done(), [(3, "resume")]);
}

#[test]
fn a_worker_that_is_killed_before_it_has_a_process_dies_when_it_gets_one() {
    let mut stand = Stand::new();
    stand.order(1, FREE);
    stand.handle(Command::Kill { id: WorkerId(1) });
    assert!(stand.orders.try_recv().unwrap().decided.cause.get().is_some(), "the spawner can see it");
    stand.fork(1);
    assert_eq!(stand.done(), [(1, "kill")]);
    stand.worker_event(1, WorkerEvent::Executing);
    assert_eq!((stand.done(), stand.control.due()), (vec![], None));
}

#[test]
fn a_start_that_does_not_get_on_is_given_up() {
    let mut stand = Stand::new();
    stand.order(1, Allotment::Fixed(0.0));
    stand.fork(1);
    // It waits for a disk or a processor, for as long as that takes.
    for _ in 0..3 {
        stand.wait();
        assert!(!stand.is_killed(1));
    }
    *stand.processes[&1].activity.lock().unwrap() = Activity::Waiting;
    stand.wait();
    assert_eq!((stand.done(), stand.is_killed(1)), (vec![(1, "kill")], true));
}

#[test]
fn a_worker_that_others_continue_is_suspended_again() {
    let mut stand = Stand::new();
    stand.start(1, Allotment::Fixed(0.0));
    assert_eq!(stand.done(), [(1, "suspend")]);
    stand.worker_event(1, WorkerEvent::Resumed);
    assert_eq!(stand.done(), [(1, "suspend")]);
    // An event from before the share changed changes nothing.
    stand.handle(Command::SetShare { id: WorkerId(1), share: 1.0 });
    stand.worker_event(1, WorkerEvent::Resumed);
    assert_eq!(stand.done(), [(1, "resume")]);
}

#[test]
fn a_worker_that_others_stop_is_continued_three_times() {
    let mut stand = Stand::new();
    stand.start(1, FREE);
    *stand.processes[&1].activity.lock().unwrap() = Activity::Suspended;
    for _ in 0..3 {
        stand.wait();
        assert_eq!(stand.done(), [(1, "resume")]);
    }
    stand.wait();
    assert_eq!(stand.done(), [(1, "kill")]);
}

#[test]
fn a_worker_that_computes_nothing_is_stalled_only_while_it_may_run() {
    let mut stand = Stand::new();
    stand.start(1, FREE);
    *stand.processes[&1].activity.lock().unwrap() = Activity::Waiting;
    stand.now += STALL - SECOND;
    *stand.processes[&1].cpu.lock().unwrap() = SECOND;
    stand.handle(Command::SetShare { id: WorkerId(1), share: 0.0 });
    stand.now += 1_000 * STALL;
    stand.handle(Command::SetShare { id: WorkerId(1), share: 1.0 });
    assert_eq!(stand.done(), [(1, "suspend"), (1, "resume")]);
    let since = stand.now;
    stand.wait();
    assert_eq!((stand.done(), stand.now), (vec![(1, "kill")], since + STALL));
}

#[test]
fn cpu_time_ends_a_worker() {
    let mut stand = Stand::new();
    stand.start(1, FREE);
    *stand.processes[&1].cpu.lock().unwrap() = Duration::from_millis(Task::new(*b"").limits.cpu_ms);
    stand.wait();
    assert_eq!(stand.done(), [(1, "kill")]);
}

#[test]
fn a_worker_that_has_reported_may_end_by_itself_for_a_moment() {
    let mut stand = Stand::new();
    for n in [1, 2, 3] {
        stand.start(n, if n == 2 { Allotment::Fixed(0.0) } else { FREE });
    }
    stand.done();
    stand.worker_event(1, WorkerEvent::Reported);
    stand.worker_event(2, WorkerEvent::Reported);
    assert_eq!(stand.done(), [(2, "kill")], "a worker that is held gets no cycle to end by itself");
    stand.wait();
    assert_eq!(stand.done(), [(1, "kill")]);
    stand.worker_event(3, WorkerEvent::Silent);
    assert_eq!(stand.done(), [(3, "kill")]);
    // An event that comes after the kill wakes nobody.
    stand.worker_event(3, WorkerEvent::Reported);
    assert_eq!(stand.control.due(), None);
}

#[test]
fn a_share_between_nothing_and_all_alternates() {
    let mut stand = Stand::new();
    stand.start(1, Allotment::Fixed(0.5));
    let mut acts = Vec::new();
    for _ in 0..40 {
        let (before, running) = (stand.now, acts.last().is_none_or(|(_, act)| *act == "resume"));
        stand.wait();
        if running {
            *stand.processes[&1].cpu.lock().unwrap() += stand.now - before;
            stand.control.look_after_workers(stand.now);
        }
        acts.extend(stand.done());
    }
    assert!(acts.len() > 10, "{acts:?}");
    assert!(acts.windows(2).all(|pair| pair[0] != pair[1]), "{acts:?}");
}

#[test]
fn a_worker_that_runs_is_allowed_more_before_its_allowance_ends() {
    let mut stand = Stand::new();
    let begin = stand.now;
    stand.order(1, FREE);
    stand.fork(1);
    stand.allowance(1, SECOND, false);
    stand.worker_event(1, WorkerEvent::Executing);
    for _ in 0..20 {
        let before = stand.now;
        stand.wait();
        assert!(stand.now - before < SECOND, "it stopped itself");
    }
    assert!(stand.now - begin >= 20 * SECOND / 2, "this process is woken up to twice a second");
    // Held, it needs no attention.
    stand.handle(Command::SetShare { id: WorkerId(1), share: 0.0 });
    assert_eq!((stand.done(), stand.control.due()), (vec![(1, "suspend")], None));
}

/// This process was stopped from outside, and goes on in the morning.
#[test]
fn a_worker_that_stopped_itself_unattended_goes_on_and_the_time_is_nobodys() {
    let mut stand = Stand::new();
    stand.control.config.wall = Some(60 * SECOND);
    stand.order(1, FREE);
    stand.fork(1);
    stand.allowance(1, SECOND, false);
    stand.worker_event(1, WorkerEvent::Executing);
    // More often than others may stop it.
    for _ in 0..10 {
        stand.allowance(1, SECOND, true);
        *stand.processes[&1].activity.lock().unwrap() = Activity::Suspended;
        stand.now += 40_000 * SECOND;
        stand.control.look_after_workers(stand.now);
        assert_eq!(stand.done(), [(1, "resume")]);
        stand.allowance(1, SECOND, false);
        *stand.processes[&1].activity.lock().unwrap() = Activity::Running;
        stand.wait();
        assert_eq!(stand.done(), []);
    }
}

#[test]
fn a_worker_that_hears_late_of_the_end_of_its_allowance_is_resumed_when_it_has_stopped() {
    let mut stand = Stand::new();
    stand.order(1, FREE);
    stand.fork(1);
    stand.allowance(1, SECOND, true);
    // It has not been on a processor since.
    stand.worker_event(1, WorkerEvent::Executing);
    stand.allowance(1, SECOND, false);
    stand.wait();
    assert_eq!(stand.done(), []);
    *stand.processes[&1].activity.lock().unwrap() = Activity::Suspended;
    stand.wait();
    assert_eq!(stand.done(), [(1, "resume")]);
    // From now on it is another's hand.
    stand.wait();
    assert_eq!(stand.done(), []);
}

#[test]
fn an_order_that_no_spawner_takes_is_told() {
    let mut stand = Stand::new();
    stand.orders = mpsc::channel().1;
    stand.order(1, FREE);
    assert_eq!(stand.ends.1.try_recv().unwrap().code.to_string(), "killed");
    assert!(stand.control.workers.is_empty());
}
