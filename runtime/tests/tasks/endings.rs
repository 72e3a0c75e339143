//! How programs end: by themselves, by a trap, by a limit. (More of the latter among the hostile cases.)

use std::time::Duration;

use surge_protocol::Outcome::{Done, Limit, Trap};
use surge_protocol::task::Meter;
use surge_supervisor::{Config, Supervisor, Task};

use crate::door::{expect, print, program, program_with, run, wat, worker};

#[test]
fn a_program_that_returns_is_done() {
    let hello = program_with(r#"(data (i32.const 0) "hello, surge\n")"#, &print(0, 13));
    let finished = run(wat(&hello));
    expect(&finished, Done, 0);
    assert_eq!(finished.output, b"hello, surge\n");
    assert_eq!(finished.peak_memory_bytes, 4 * 65_536);
    assert_eq!(finished.fuel, 0);
    assert!(finished.runtime_class.starts_with("wasmtime-48"), "{}", finished.runtime_class);
    assert_eq!(finished.digest, surge_protocol::outcome::result_digest(Done, &0.into_code(), b"hello, surge\n"));
}

trait IntoCode {
    fn into_code(self) -> surge_protocol::Code;
}

impl IntoCode for u32 {
    fn into_code(self) -> surge_protocol::Code {
        surge_protocol::Code::Status(self)
    }
}

#[test]
fn what_was_written_before_a_trap_is_part_of_the_result() {
    let finished = run(wat(&program_with(r#"(data (i32.const 0) "ab")"#, &format!("{} unreachable", print(0, 2)))));
    expect(&finished, Trap, "unreachable");
    assert_eq!(finished.output, b"ab");
}

#[test]
fn a_trap_says_where_it_happened() {
    let finished =
        run(wat(&program_with("(func $divide (drop (i32.div_u (i32.const 1) (i32.const 0))))", "(call $divide)")));
    assert!(finished.detail.contains("divide"), "{}", finished.detail);
}

#[test]
fn a_large_output_arrives_whole() {
    let body = format!(
        "(loop $l (i32.store (i32.const 0) (local.get $i)) {} (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 600))))",
        print(0, 10_000)
    );
    let finished = run(wat(&program(&body)));
    expect(&finished, Done, 0);
    assert_eq!(finished.output.len(), 6_000_000);
    assert_eq!(finished.output[5_990_000..5_990_004], 599_u32.to_le_bytes());
}

#[test]
fn running_out_of_fuel_is_a_result_with_what_was_written_before() {
    let task = wat(&program(&format!("{} (loop $l (br $l))", print(0, 3))));
    let finished = run(Task { meter: Meter::Fuel { budget: 10_000 }, ..task });
    expect(&finished, Limit, "fuel");
    assert_eq!((finished.output.len(), finished.fuel), (3, 10_000));
    assert!(finished.outcome.votes(&finished.code));
}

/// A limit on a clock of its own, which stands while the worker is held.
#[test]
fn a_task_that_may_run_for_long_enough_is_ended_whatever_it_got() {
    let wall = Some(Duration::from_millis(400));
    let supervisor = Supervisor::start(Config { wall, ..Config::new(worker()) }).unwrap();
    let endless = |share| supervisor.run(wat(&program("(loop $l (br $l))")), share);
    let held = endless(0.0);
    let free = endless(1.0).wait();
    expect(&free, Limit, "wall");
    assert!(free.wall_ms >= 400 && free.detail.contains("of a processor"), "{} ms: {}", free.wall_ms, free.detail);
    // It is as old by now, and has used up nothing.
    supervisor.set_share(held.id(), 1.0);
    let held = held.wait();
    expect(&held, Limit, "wall");
    assert!(held.wall_ms >= 750, "{} ms", held.wall_ms);
    assert!(!held.outcome.votes(&held.code));
}
