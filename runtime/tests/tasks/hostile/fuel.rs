//! Fuel: counted the same on every run, never more than the budget, and paid for what the host does.

use std::time::Duration;

use surge_protocol::Digest;
use surge_protocol::task::Meter;
use surge_supervisor::{Checkpoints, Finished, Task};

use super::case::Case;
use super::case::Run::Act;
use super::stand::Stand;
use crate::door::{program, wait_for_in, wat};

pub(crate) const CASES: &[Case] = &[
    Case {
        number: 55,
        tries: "fuel that differs between runs",
        ends: &["done/0"],
        note: "equal in 100 runs, compiled or kept, with pauses, with checkpoints",
        run: Act(every_run_costs_the_same),
    },
    Case {
        number: 56,
        tries: "fuel budgets of nothing, one, exactly enough, one too few, 2^63 and more",
        ends: &["limit/fuel", "done/0"],
        note: "a bill is never above its budget",
        run: Act(the_budget_is_exact),
    },
    Case {
        number: 68,
        tries: "evading a share or a bill by work that the host does",
        ends: &["done/0", "limit/fuel", "host/killed"],
        note: "a call costs 100, each byte that it touches 1; its time is the worker's",
        run: Act(host_calls_are_paid_for),
    },
];

const LOOP: &str =
    "(loop $l (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 100000))))";

fn metered(body: &str, budget: u64) -> Task {
    Task { meter: Meter::Fuel { budget }, ..wat(&program(body)) }
}

fn every_run_costs_the_same(stand: &Stand) -> Vec<Finished> {
    let mut all: Vec<Finished> = (0..100).map(|_| stand.run(metered(LOOP, u64::MAX))).collect();
    let paused = stand.supervisor.run(metered(LOOP, u64::MAX), 0.3);
    wait_for_in(&stand.supervisor, paused.id());
    stand.supervisor.set_share(paused.id(), 0.0);
    stand.supervisor.set_share(paused.id(), 0.5);
    all.push(paused.wait());
    // In a supervisor that keeps nothing, each of them compiles.
    all.push(stand.run_in(crate::door::worker(), metered(LOOP, u64::MAX)));
    let fuel = all[0].fuel;
    assert!((400_000..1_000_000).contains(&fuel), "{fuel}");

    let folder = tempfile::tempdir().unwrap();
    let syncing = |checkpoints| Task { checkpoints, ..metered(&sync_in_state(), u64::MAX) };
    let kept = Checkpoints { folder: folder.path().to_owned(), task: Digest::of(b"fuel"), every: Duration::ZERO };
    let (without, with) = (stand.run(syncing(None)), stand.run(syncing(Some(kept))));
    assert_eq!(with.fuel, without.fuel, "whether a sync is kept is no matter of the program's");
    assert!(all.iter().all(|finished| finished.fuel == fuel));
    all.extend([without, with]);
    all
}

fn sync_in_state() -> String {
    let sync = "(drop (call $fd_sync (i32.load (i32.const 16))))".repeat(10);
    format!(
        "(i64.store (i32.const 0) (i64.const 0x662f6574617473))
         (if (call $path_open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 7) (i32.const 1) (i64.const 0x6001ff)
           (i64.const 0) (i32.const 0) (i32.const 16)) (then unreachable))
         {sync}"
    )
}

fn the_budget_is_exact(stand: &Stand) -> Vec<Finished> {
    let run = |budget| stand.run(metered(LOOP, budget));
    let endless = run(u64::MAX);
    let cost = endless.fuel;
    let mut all = vec![endless, run(cost)];
    for budget in [0, 1, cost / 2, cost - 100] {
        let finished = run(budget);
        assert_eq!((finished.fuel, finished.code.to_string().as_str()), (budget, "fuel"));
        all.push(finished);
    }
    // The engine looks at loops and calls: what comes after the last of them may still be done, and is not billed.
    let one_too_few = run(cost - 1);
    assert_eq!(one_too_few.fuel, cost - 1);
    all.push(one_too_few);
    for budget in [i64::MAX as u64, i64::MAX as u64 + 1, u64::MAX] {
        let finished = run(budget);
        assert_eq!(finished.fuel, cost);
        all.push(finished);
    }
    all
}

fn host_calls_are_paid_for(stand: &Stand) -> Vec<Finished> {
    let run = |body: &str, budget| stand.run(metered(body, budget));
    let random = "(drop (call $random_get (i32.const 0) (i32.const 200000)))";
    let nothing = run("", u64::MAX);
    let (call, bytes) = (run("(drop (call $sched_yield))", u64::MAX), run(random, u64::MAX));
    assert!((100..200).contains(&(call.fuel - nothing.fuel)), "{}", call.fuel);
    assert!((200_000..201_000).contains(&(bytes.fuel - nothing.fuel)), "{}", bytes.fuel);
    let spent = run(&format!("(loop $l {random} (br $l))"), 10_000_000);
    assert_eq!(spent.fuel, 10_000_000);
    vec![nothing, call, bytes, spent, a_share_holds_in_the_host(stand, random)]
}

/// A fifth of a processor, all of it used up in host calls.
fn a_share_holds_in_the_host(stand: &Stand, call: &str) -> Finished {
    let running = stand.supervisor.run(wat(&program(&format!("(loop $l {call} (br $l))"))), 0.2);
    let used = || Duration::from_millis(wait_for_in(&stand.supervisor, running.id()).cpu_ms);
    let (start, before) = (std::time::Instant::now(), used());
    crate::door::until(|| (used() > before + Duration::from_millis(100)).then_some(()));
    let (wall, used) = (start.elapsed(), used() - before);
    // Never more, whatever else this machine does, but for a period.
    assert!(used < wall.mul_f64(0.22) + Duration::from_millis(50), "{used:?} of {wall:?}");
    stand.supervisor.kill(running.id());
    running.wait()
}
