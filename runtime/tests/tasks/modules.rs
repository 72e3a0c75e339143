//! What is a module for a task, and what is none. (More of the latter among the hostile cases.)

use surge_protocol::Outcome::{Done, Host, Invalid};

use crate::door::{expect, run, task, wat};

const SHELL: &str = r#"(memory (export "memory") 1) (func (export "_start"))"#;

fn module(parts: &str) -> String {
    format!("(module {parts} {SHELL})")
}

#[test]
fn a_damaged_module_is_refused_or_runs_and_never_breaks_the_worker() {
    let whole = wat::parse_str(crate::door::program(&crate::door::print(0, 4))).unwrap();
    for length in (4..whole.len()).step_by(3) {
        let cut = run(task(&whole[..length]));
        // Without the names at its end it is whole.
        assert!(matches!(cut.outcome, Invalid | Done), "cut at {length}: {}", cut.detail);
        let mut flipped = whole.clone();
        flipped[length] ^= 1 << (length % 8);
        let flipped = run(task(flipped));
        assert_ne!(flipped.outcome, Host, "flipped at {length}: {}", flipped.detail);
    }
}

#[test]
fn what_compilers_emit_by_default_is_welcome() {
    let parts = "(type $pair (func (result i32 i64))) (func $two (type $pair) (i32.const 1) (i64.const 2))
      (func (result i32) (local v128) (i32x4.extract_lane 1 (i32x4.splat (i32.const 7))))
      (func (param f64) (result i32) (i32.trunc_sat_f64_s (local.get 0)))
      (func (param i32) (result i32) (i32.extend8_s (local.get 0)))
      (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 8)))
      (func $tail (return_call $tail))
      (global $g (mut i32) (i32.add (i32.const 1) (i32.const 2))) (export \"g\" (global $g))
      (table 1 funcref) (table 1 funcref) (func (drop (table.get 1 (i32.const 0))))";
    expect(&run(wat(&module(parts))), Done, 0);
}

#[test]
fn a_library_is_not_a_program() {
    expect(&run(wat(r#"(module (memory (export "memory") 1))"#)), Invalid, "no_start");
    expect(
        &run(wat(r#"(module (memory (export "memory") 1) (func (export "_start") (param i32)))"#)),
        Invalid,
        "no_start",
    );
    expect(
        &run(wat(r#"(module (memory (export "memory") 1) (global (export "_start") i32 (i32.const 1)))"#)),
        Invalid,
        "no_start",
    );
    expect(&run(wat(r#"(module (func (export "_start")))"#)), Invalid, "no_memory");
    expect(&run(wat(r#"(module (memory 1) (func (export "_start")))"#)), Invalid, "no_memory");
    expect(&run(wat(r#"(module (func (export "_start")) (func (export "memory")))"#)), Invalid, "no_memory");
}
