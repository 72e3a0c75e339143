//! Shares, holding and killing, of a program that would compute for ever.

use std::path::Path;
use std::time::{Duration, Instant};

use surge_protocol::Outcome::Host;
use surge_supervisor::{Config, Running, Supervisor, WorkerStatus};

use crate::door::{SUPERVISOR, expect, program, run, until, wait_for, wait_until_stopped, wat, worker};

fn endless(share: f32) -> Running {
    SUPERVISOR.run(wat(&program("(loop $l (br $l))")), share)
}

fn status(running: &Running) -> WorkerStatus {
    SUPERVISOR.workers().into_iter().find(|worker| worker.id == running.id()).unwrap()
}

fn kill(running: Running) {
    SUPERVISOR.kill(running.id());
    expect(&running.wait(), Host, "killed");
}

#[test]
fn a_held_worker_can_be_killed() {
    let running = endless(0.0);
    let pid = wait_for(running.id()).pid;
    wait_until_stopped(pid);
    kill(running);
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
}

/// The account over some seconds, on a machine that may be busy: never more than the share, by more than a period.
#[test]
fn a_share_bounds_the_cpu_time_of_a_worker() {
    let running = endless(0.25);
    wait_for(running.id());
    let (start, before) = (Instant::now(), status(&running).cpu_ms);
    until(|| (status(&running).cpu_ms > before + 400).then_some(()));
    let (wall, used) = (start.elapsed(), status(&running).cpu_ms - before);
    assert!(Duration::from_millis(used) < wall.mul_f64(0.27) + Duration::from_millis(50), "{used} ms of {wall:?}");
    kill(running);
}

#[test]
fn several_workers_have_a_share_each() {
    let all: Vec<_> = [0.2, 0.1, 0.0].map(endless).into();
    for running in &all {
        wait_for(running.id());
    }
    let shares: Vec<f32> = all.iter().map(|running| status(running).share).collect();
    assert_eq!(shares, [0.2, 0.1, 0.0]);
    let start = Instant::now();
    let before: Vec<u64> = all.iter().map(|running| status(running).cpu_ms).collect();
    until(|| (status(&all[0]).cpu_ms > before[0] + 200).then_some(()));
    for (running, (before, share)) in all.iter().zip(before.iter().zip([0.2, 0.1, 0.0])) {
        let used = Duration::from_millis(status(running).cpu_ms - before);
        assert!(used < start.elapsed().mul_f64(share * 1.1) + Duration::from_millis(50), "{share}: {used:?}");
    }
    all.into_iter().for_each(kill);
}

#[test]
fn a_share_that_is_no_share_holds() {
    for share in [f32::NAN, -1.0, f32::NEG_INFINITY] {
        let running = endless(share);
        let pid = wait_for(running.id()).pid;
        wait_until_stopped(pid);
        kill(running);
    }
}

/// Where its process is killed: hostile case 64.
#[test]
fn dropping_a_supervisor_kills_its_workers_and_says_so() {
    let supervisor = Supervisor::start(Config::new(worker())).unwrap();
    let tasks = [1.0, 0.3, 0.0].map(|share| supervisor.run(wat(&program("(loop $l (br $l))")), share));
    until(|| (supervisor.workers().len() == 3).then_some(()));
    let pids: Vec<u32> = supervisor.workers().iter().map(|worker| worker.pid).collect();
    drop(supervisor);
    for pid in pids {
        assert!(!Path::new(&format!("/proc/{pid}")).exists(), "process {pid} is still there");
    }
    tasks.into_iter().for_each(|running| expect(&running.wait(), Host, "killed"));
}

#[test]
fn a_worker_that_is_gone_is_ignored() {
    let running = endless(1.0);
    let id = running.id();
    wait_for(id);
    kill(running);
    SUPERVISOR.kill(id);
    SUPERVISOR.set_share(id, 0.5);
    assert!(SUPERVISOR.workers().iter().all(|worker| worker.id != id));
    expect(&run(wat(&program(""))), surge_protocol::Outcome::Done, 0);
}
