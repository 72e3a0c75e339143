//! Shares, holding and killing, of a program that would compute for ever.

use std::path::Path;
use std::time::{Duration, Instant};

use surge_protocol::Outcome::Host;
use surge_supervisor::{Config, Running, Supervisor, WorkerStatus};

use crate::door::{SUPERVISOR, expect, program, run, until, wait_for, wat, worker};

fn endless(share: f32) -> Running {
    SUPERVISOR.run(wat(&program("(loop $l (br $l))")), share)
}

fn status(running: &Running) -> WorkerStatus {
    SUPERVISOR.workers().into_iter().find(|worker| worker.id == running.id()).unwrap()
}

/// The state letter that the kernel shows for a process.
fn state(pid: u32) -> char {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(") ").unwrap().1.chars().next().unwrap()
}

fn cpu_moves(running: &Running) {
    let before = status(running).cpu_ms;
    until(|| (status(running).cpu_ms > before + 5).then_some(()));
}

fn kill(running: Running) {
    SUPERVISOR.kill(running.id());
    expect(&running.wait(), Host, "killed");
}

/// 12: wherever it is, a held worker does not compute.
#[test]
fn a_held_worker_stands_still_until_it_is_let_go() {
    let running = SUPERVISOR
        .run(wat(&program("(loop $l (memory.fill (i32.const 0) (i32.const 7) (i32.const 262144)) (br $l))")), 1.0);
    let pid = wait_for(running.id()).pid;
    for _ in 0..20 {
        cpu_moves(&running);
        SUPERVISOR.set_share(running.id(), 0.0);
        until(|| (state(pid) == 'T').then_some(()));
        let before = status(&running);
        assert!(before.share.abs() < f32::EPSILON);
        // Another worker's whole life passes, and this one has not moved.
        run(wat(&program("")));
        assert_eq!(status(&running).cpu_ms, before.cpu_ms);
        SUPERVISOR.set_share(running.id(), 1.0);
    }
    kill(running);
}

/// 63: somebody else continues it.
#[test]
fn a_worker_that_is_continued_while_held_is_stopped_again() {
    let running = endless(1.0);
    let pid = wait_for(running.id()).pid;
    SUPERVISOR.set_share(running.id(), 0.0);
    until(|| (state(pid) == 'T').then_some(()));
    let before = status(&running).cpu_ms;
    let process = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    for _ in 0..50 {
        rustix::process::kill_process(process, rustix::process::Signal::CONT).unwrap();
        until(|| (state(pid) == 'T').then_some(()));
    }
    // Each time it may run until the supervisor sees it. Undisturbed it would have used many times as much.
    assert!(status(&running).cpu_ms - before < 50 * 100);
    kill(running);
}

#[test]
fn a_held_worker_can_be_killed() {
    let running = endless(0.0);
    let pid = wait_for(running.id()).pid;
    until(|| (state(pid) == 'T').then_some(()));
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
        until(|| (state(pid) == 'T').then_some(()));
        kill(running);
    }
}

/// 64, the orderly half. What happens when the process dies is tested with the supervisor.
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
