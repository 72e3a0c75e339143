//! Fuel: counted the same on every run, and the budget is never exceeded.

use surge_protocol::Outcome::{Done, Limit, Trap};
use surge_protocol::task::Meter;
use surge_supervisor::{Finished, Task};

use crate::door::{SUPERVISOR, expect, print, program, program_with, run, wait_for, wat};

const LOOP: &str =
    "(loop $l (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 100000))))";

fn metered(body: &str, budget: u64) -> Finished {
    run(Task { meter: Meter::Fuel { budget }, ..wat(&program(body)) })
}

/// 55.
#[test]
fn every_run_costs_the_same() {
    let first = metered(LOOP, u64::MAX);
    expect(&first, Done, 0);
    assert!(first.fuel > 400_000 && first.fuel < 1_000_000, "{}", first.fuel);
    for _ in 0..5 {
        assert_eq!(metered(LOOP, u64::MAX).fuel, first.fuel);
    }
    let paused = SUPERVISOR.run(Task { meter: Meter::Fuel { budget: u64::MAX }, ..wat(&program(LOOP)) }, 0.3);
    wait_for(paused.id());
    SUPERVISOR.set_share(paused.id(), 0.0);
    SUPERVISOR.set_share(paused.id(), 0.5);
    assert_eq!(paused.wait().fuel, first.fuel);
}

/// 56.
#[test]
fn the_budget_is_exact() {
    let cost = metered(LOOP, u64::MAX).fuel;
    expect(&metered(LOOP, cost), Done, 0);
    for budget in [0, 1, cost / 2, cost - 100] {
        let finished = metered(LOOP, budget);
        expect(&finished, Limit, "fuel");
        assert_eq!(finished.fuel, budget);
    }
    // The engine looks at loops and calls: what comes after the last of them may still be done, and is not billed.
    assert_eq!(metered(LOOP, cost - 1).fuel, cost - 1);
    for budget in [i64::MAX as u64, i64::MAX as u64 + 1, u64::MAX] {
        assert_eq!(metered(LOOP, budget).fuel, cost);
    }
}

/// 68: what the host does for a program is charged like what the program does.
#[test]
fn host_calls_are_paid_for() {
    let cheap = metered("", u64::MAX).fuel;
    let call = metered("(drop (call $sched_yield))", u64::MAX).fuel - cheap;
    assert!((100..200).contains(&call), "{call}");
    let bytes = metered("(drop (call $random_get (i32.const 0) (i32.const 200000)))", u64::MAX).fuel - cheap;
    assert!((200_000..201_000).contains(&bytes), "{bytes}");
    expect(
        &metered("(loop $l (drop (call $random_get (i32.const 0) (i32.const 200000))) (br $l))", 10_000_000),
        Limit,
        "fuel",
    );
}

#[test]
fn running_out_of_fuel_is_a_result_with_what_was_written_before() {
    let finished = metered(&format!("{} (loop $l (br $l))", print(0, 3)), 10_000);
    expect(&finished, Limit, "fuel");
    assert_eq!((finished.output.len(), finished.fuel), (3, 10_000));
    assert!(finished.outcome.votes(&finished.code));
}

/// Both end by the same instruction.
#[test]
fn a_program_that_gives_up_has_not_run_out_of_fuel() {
    let finished = metered("unreachable", 1_000);
    expect(&finished, Trap, "unreachable");
    assert!(finished.fuel < 10, "{}", finished.fuel);
}

/// 18.
#[test]
fn a_start_section_is_metered_too() {
    let task = |more: &str| Task { meter: Meter::Fuel { budget: 1_000 }, ..wat(&program_with(more, &print(0, 3))) };
    expect(&run(task("(func $start (loop $l (br $l))) (start $start)")), Limit, "fuel");
    let finished = run(task("(func $start (i32.store8 (i32.const 0) (i32.const 65))) (start $start)"));
    expect(&finished, Done, 0);
    assert_eq!(finished.output, b"A\0\0", "it runs once, and first");
}

#[test]
fn operations_on_many_bytes_cost_as_much() {
    let fill = "(memory.fill (i32.const 0) (i32.const 1) (i32.const 200000))";
    let cost = metered(fill, u64::MAX).fuel;
    assert!((200_000..200_100).contains(&cost), "{cost}");
    expect(&metered(&format!("(loop $l {fill} (br $l))"), 10_000_000), Limit, "fuel");
    expect(&metered(&fill.replace("200000", "-1"), 10_000_000), Limit, "fuel");
}

/// What a program has left is no part of it.
#[test]
fn a_program_cannot_refuel() {
    let more = r#"(global $mine (export "surge:left") (mut i64) (i64.const 1000000))"#;
    let body = "(global.set $mine (i64.const 1000000000)) (loop $l (br $l))";
    let finished = run(Task { meter: Meter::Fuel { budget: 10_000 }, ..wat(&program_with(more, body)) });
    expect(&finished, Limit, "fuel");
    assert_eq!(finished.fuel, 10_000);
}
