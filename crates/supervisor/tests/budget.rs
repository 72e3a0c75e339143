//! A budget that is shared by rank: who runs, who is held, and what changes when a worker comes or goes.
//!
//! The workers are `cat`, which waits for a task that nobody tells it, because it never says that it is ready.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use surge_supervisor::{Budget, Config, Finished, Supervisor, Task, WorkerId, WorkerStatus};

/// Ten times what anything here takes on a slow machine.
const HANG: Duration = Duration::from_secs(120);

const ONE: Budget = Budget { workers: 1, share: 1.0 };

fn supervisor() -> Supervisor {
    let stall_after = HANG;
    Supervisor::start(Config { stall_after, ..Config::new("/bin/cat".into()) }).unwrap()
}

fn begin(supervisor: &Supervisor, rank: u64) -> (WorkerId, Receiver<Finished>) {
    let (send, ended) = channel();
    let id = supervisor.run_then(Task::new(*b"module"), rank, move |finished| send.send(finished).unwrap());
    (id, ended)
}

/// Waits until exactly these workers are alive, with these shares, and each process is stopped exactly where its share is 0.
#[track_caller]
fn expect(supervisor: &Supervisor, shares: &[(WorkerId, f32)]) -> Vec<WorkerStatus> {
    let deadline = Instant::now() + HANG;
    loop {
        let workers = supervisor.workers();
        let shown: Vec<_> = workers.iter().map(|worker| (worker.id, worker.share)).collect();
        if shown == shares && workers.iter().all(|worker| stopped(worker.pid) == (worker.share == 0.0)) {
            return workers;
        }
        assert!(Instant::now() < deadline, "{shown:?} instead of {shares:?}");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

/// As [`expect`], but for shares at which a worker is stopped and continued all the time.
#[track_caller]
fn expect_shares(supervisor: &Supervisor, shares: &[(WorkerId, f32)]) -> Vec<WorkerStatus> {
    let deadline = Instant::now() + HANG;
    loop {
        let workers = supervisor.workers();
        if workers.iter().map(|worker| (worker.id, worker.share)).eq(shares.iter().copied()) {
            return workers;
        }
        assert!(Instant::now() < deadline, "{workers:?} instead of {shares:?}");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

fn stopped(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
}

#[test]
fn workers_are_held_until_there_is_a_budget_and_the_lowest_rank_runs_first() {
    let supervisor = supervisor();
    let (late, _) = begin(&supervisor, 9);
    let (early, _) = begin(&supervisor, 2);
    expect(&supervisor, &[(late, 0.0), (early, 0.0)]);
    supervisor.set_budget(ONE);
    expect(&supervisor, &[(late, 0.0), (early, 1.0)]);
    supervisor.set_budget(Budget { workers: 2, share: 0.5 });
    let running = expect_shares(&supervisor, &[(late, 0.5), (early, 0.5)]);
    assert_eq!(running.len(), 2);
    supervisor.set_budget(Budget::HOLD);
    expect(&supervisor, &[(late, 0.0), (early, 0.0)]);
}

#[test]
fn a_worker_that_arrives_takes_the_place_of_a_higher_rank() {
    let supervisor = supervisor();
    supervisor.set_budget(ONE);
    let (first, _) = begin(&supervisor, 5);
    expect(&supervisor, &[(first, 1.0)]);
    let (behind, _) = begin(&supervisor, 5);
    expect(&supervisor, &[(first, 1.0), (behind, 0.0)]);
    let (ahead, _) = begin(&supervisor, 4);
    expect(&supervisor, &[(first, 0.0), (behind, 0.0), (ahead, 1.0)]);
}

#[test]
fn the_next_rank_runs_when_a_worker_is_killed_or_ends() {
    let supervisor = supervisor();
    supervisor.set_budget(ONE);
    let workers = [1, 2, 3].map(|rank| begin(&supervisor, rank));
    let [first, second, third] = [&workers[0].0, &workers[1].0, &workers[2].0].map(|id| *id);
    let running = expect(&supervisor, &[(first, 1.0), (second, 0.0), (third, 0.0)]);
    supervisor.kill(first);
    assert_eq!(workers[0].1.recv_timeout(HANG).unwrap().code.to_string(), "killed");
    expect(&supervisor, &[(second, 1.0), (third, 0.0)]);
    // By another hand.
    let pid = Pid::from_raw(i32::try_from(running[1].pid).unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    expect(&supervisor, &[(third, 1.0)]);
}

#[test]
fn a_share_of_its_own_and_the_budget_leave_each_other_alone() {
    let supervisor = supervisor();
    let own = supervisor.run(Task::new(*b"module"), 1.0);
    let (ranked, _ended) = begin(&supervisor, 1);
    expect(&supervisor, &[(own.id(), 1.0), (ranked, 0.0)]);
    supervisor.set_share(ranked, 1.0);
    supervisor.set_share(own.id(), 0.0);
    expect(&supervisor, &[(own.id(), 0.0), (ranked, 0.0)]);
    supervisor.set_budget(Budget::ALL);
    expect(&supervisor, &[(own.id(), 0.0), (ranked, 1.0)]);
}
