//! Fuel is counted by the module itself: what that could change, and does not. That it is exact is in the table of `hostile`.

use surge_protocol::Outcome::{Done, Limit, Trap};
use surge_protocol::task::Meter;
use surge_supervisor::{Finished, Task};

use crate::door::{expect, print, program, program_with, run, wat};

fn metered(body: &str, budget: u64) -> Finished {
    run(Task { meter: Meter::Fuel { budget }, ..wat(&program(body)) })
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
