//! How programs end: by themselves, by a trap, by a limit.

use surge_protocol::Outcome::{Done, Exit, Host, Limit, Trap};
use surge_protocol::task::Limits;
use surge_supervisor::{Config, Supervisor};

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

/// 46: in the middle of the program, and with output before.
#[test]
fn exit_statuses_are_results() {
    for status in [1, 2, 126, 255, 256, u32::MAX] {
        let finished =
            run(wat(&program(&format!("{} (call $exit (i32.const {})) unreachable", print(0, 3), status as i32))));
        expect(&finished, Exit, status);
        assert_eq!(finished.output, [0, 0, 0]);
    }
    expect(&run(wat(&program("(call $exit (i32.const 0)) unreachable"))), Done, 0);
}

/// 14, 15, 16, 17.
#[test]
fn each_trap_has_its_word() {
    let table = "(table 4 funcref) (elem (i32.const 1) $f) (type $none (func)) (type $one (func (param i32)))
                 (func $f (param i32))";
    let cases: &[(&str, &str, &str)] = &[
        ("unreachable", "", "unreachable"),
        ("unreachable", "(func $boot unreachable) (start $boot)", ""),
        ("memory_out_of_bounds", "", "(drop (i32.load (i32.const -1)))"),
        ("memory_out_of_bounds", "", "(drop (i32.load (i32.const 262141)))"),
        ("memory_out_of_bounds", "", "(drop (i64.load (i32.const 262137)))"),
        ("memory_out_of_bounds", "", "(drop (i32.load8_u offset=4294967295 (i32.const 0)))"),
        ("memory_out_of_bounds", "", "(drop (i32.load8_u offset=4294967295 (i32.const -1)))"),
        ("memory_out_of_bounds", "", "(i64.store (i32.const -8) (i64.const 1))"),
        ("memory_out_of_bounds", "", "(memory.fill (i32.const 262143) (i32.const 1) (i32.const 2))"),
        ("memory_out_of_bounds", "", "(memory.copy (i32.const 0) (i32.const 262144) (i32.const 1))"),
        ("memory_out_of_bounds", "(data (i32.const 262144) \"x\")", ""),
        ("table_out_of_bounds", table, "(call_indirect (type $none) (i32.const 4))"),
        ("table_out_of_bounds", table, "(call_indirect (type $none) (i32.const -1))"),
        ("indirect_call_to_null", table, "(call_indirect (type $none) (i32.const 0))"),
        ("bad_signature", table, "(call_indirect (type $none) (i32.const 1))"),
        ("integer_divide_by_zero", "", "(drop (i32.div_u (i32.const 1) (local.get $i)))"),
        ("integer_divide_by_zero", "", "(drop (i64.rem_s (i64.const 1) (i64.extend_i32_u (local.get $i))))"),
        ("integer_overflow", "", "(drop (i32.div_s (i32.const 0x80000000) (i32.sub (local.get $i) (i32.const 1))))"),
        (
            "bad_conversion_to_integer",
            "",
            "(drop (i32.trunc_f64_s (f64.div (f64.const 0) (f64.convert_i32_s (local.get $i)))))",
        ),
        ("integer_overflow", "", "(drop (i32.trunc_f64_s (f64.const 1e10)))"),
    ];
    for (word, more, body) in cases {
        let finished = run(wat(&program_with(more, body)));
        expect(&finished, Trap, *word);
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

/// 1, 2, 4, 13, 18, 41: each of them runs until the kernel's clock says stop.
#[test]
fn programs_that_never_end_run_out_of_cpu_time() {
    let cases: &[(&str, &str)] = &[
        ("", "(loop $l (br $l))"),
        ("(func $boot (loop $l (br $l))) (start $boot)", ""),
        (
            "(func $tree (param i32) (if (local.get 0) (then (call $tree (i32.sub (local.get 0) (i32.const 1)))
            (call $tree (i32.sub (local.get 0) (i32.const 1))))))",
            "(call $tree (i32.const 60))",
        ),
        ("(func $spin (return_call $spin))", "(call $spin)"),
        ("", "(loop $l (memory.copy (i32.const 1) (i32.const 0) (i32.const 262143)) (br $l))"),
        ("", "(loop $l (drop (call $sched_yield)) (br $l))"),
        ("", "(loop $l (drop (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 0))) (br $l))"),
        ("", "(loop $l (drop (call $random_get (i32.const 0) (i32.const 262144))) (br $l))"),
    ];
    for (more, body) in cases {
        let mut task = wat(&program_with(more, body));
        task.limits.cpu_ms = 300;
        let finished = run(task);
        expect(&finished, Limit, "cpu");
        assert!(finished.cpu_ms >= 300, "{} ms", finished.cpu_ms);
    }
}

/// 3, 4, 53.
#[test]
fn endless_recursion_exhausts_the_stack() {
    let cases = [
        ("(func $deep (call $deep))", "(call $deep)"),
        (
            "(func $deep (param i32) (local i64 i64 i64) (call $deep (local.get 0)) (drop (local.get 1)))",
            "(call $deep (i32.const 1))",
        ),
        (
            "(table 1 funcref) (elem (i32.const 0) $deep) (type $t (func)) (func $deep (call_indirect (type $t) (i32.const 0)))",
            "(call $deep)",
        ),
    ];
    for (more, body) in cases {
        expect(&run(wat(&program_with(more, body))), Limit, "stack");
    }
}

/// 6, 7, 54.
#[test]
fn memory_grows_to_its_limit_and_no_further() {
    let grow = "(loop $l (br_if $l (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) (call $exit (memory.size))";
    let mut task = wat(&program(grow));
    task.limits.memory_bytes = 10 << 20;
    let finished = run(task);
    expect(&finished, Exit, 160);
    assert_eq!(finished.peak_memory_bytes, 10 << 20);

    let mut large = wat(r#"(module (memory (export "memory") 1025) (func (export "_start")))"#);
    large.limits.memory_bytes = 64 << 20;
    expect(&run(large), Limit, "memory");
    expect(&run(wat(r#"(module (memory (export "memory") 65536) (func (export "_start")))"#)), Limit, "memory");
}

#[test]
fn growing_beyond_any_memory_is_refused_to_the_program() {
    expect(&run(wat(&program("(call $exit (i32.eq (memory.grow (i32.const -1)) (i32.const -1)))"))), Exit, 1);
    expect(&run(wat(&program("(call $exit (i32.eq (memory.grow (i32.const 65536)) (i32.const -1)))"))), Exit, 1);
}

/// 54: an answer of -1 within the limit would be a result that depends on the machine.
#[test]
fn a_machine_without_memory_is_the_hosts_fault() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("worker");
    // Written by another process: a descriptor of ours would live on in every worker that another test forks meanwhile,
    // and what is open for writing can't be executed.
    let text = "printf '#!/bin/sh\nulimit -d 300000\nexec %s\n' \"$1\" > \"$0\" && chmod 755 \"$0\"";
    let written = std::process::Command::new("/bin/sh").args(["-c", text]).arg(&script).arg(worker()).status();
    assert!(written.unwrap().success());
    let supervisor = Supervisor::start(Config::new(script)).unwrap();
    let grow = "(loop $l (br_if $l (i32.ne (memory.grow (i32.const 100)) (i32.const -1)))) (call $exit (memory.size))";
    let mut task = wat(&program(grow));
    task.limits.memory_bytes = 4 << 30;
    expect(&supervisor.run(task, 1.0).wait(), Host, "memory");
}

/// 52: results smaller than the smallest normal number are computed, not rounded to zero.
#[test]
fn tiny_floats_are_exact() {
    let body = format!(
        "(f64.store (i32.const 0) (f64.mul (f64.const 0x1p-1022) (f64.const 0.5)))
         (f32.store (i32.const 8) (f32.mul (f32.const 0x1p-126) (f32.const 0.25))) {}",
        print(0, 12)
    );
    let finished = run(wat(&program(&body)));
    assert_eq!(finished.output[..8], (f64::MIN_POSITIVE / 2.0).to_le_bytes());
    assert_eq!(finished.output[8..], (f32::MIN_POSITIVE / 4.0).to_le_bytes());
}

/// 11.
#[test]
fn tables_grow_to_a_limit() {
    let grow = "(call $exit (i32.eq (table.grow $t (ref.null func) (i32.const 200000000)) (i32.const -1)))";
    expect(&run(wat(&program_with("(table $t 1 funcref)", grow))), Exit, 1);
    let creep = "(loop $l (br_if $l (i32.ne (table.grow $t (ref.null func) (i32.const 1000)) (i32.const -1))))
                 (call $exit (table.size $t))";
    expect(&run(wat(&program_with("(table $t 0 funcref) (table $u 1000 funcref)", creep))), Exit, 1_047_000);
}

/// 38: exactly what is allowed is kept, so that the ending may vote.
#[test]
fn output_ends_at_its_limit() {
    let flood = format!("(loop $l {} (br $l))", print(0, 60_001));
    let mut task = wat(&program(&flood));
    task.limits.output_bytes = 1_000_000;
    let finished = run(task);
    expect(&finished, Limit, "output");
    assert_eq!(finished.output.len(), 1_000_000);

    let mut exact = wat(&program(&print(0, 1_000)));
    exact.limits.output_bytes = 1_000;
    expect(&run(exact), Done, 0);
    let mut one_more = wat(&program(&print(0, 1_001)));
    one_more.limits.output_bytes = 1_000;
    expect(&run(one_more), Limit, "output");
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

/// 39: what is too much is dropped, and the program goes on.
#[test]
fn a_flood_of_log_is_cut_and_harms_nobody() {
    let flood = "(i32.store (i32.const 4) (i32.const 60000))
        (loop $l (drop (call $fd_write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))
          (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1000))))";
    let mut task = wat(&program(flood));
    task.limits = Limits { log_bytes: 100_000, ..task.limits };
    let finished = run(task);
    expect(&finished, Done, 0);
    assert_eq!(finished.log.len(), 100_000);
}
