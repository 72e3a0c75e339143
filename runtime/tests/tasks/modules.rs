//! What is refused before it is compiled.

use surge_protocol::Outcome::{Done, Host, Invalid, Limit};

use crate::door::{expect, run, task, wat};

const SHELL: &str = r#"(memory (export "memory") 1) (func (export "_start"))"#;

fn module(parts: &str) -> String {
    format!("(module {parts} {SHELL})")
}

/// 28.
#[test]
fn what_is_not_wasm_is_named() {
    let cases: &[(&[u8], &str)] = &[
        (b"", "empty"),
        (b"\x7fELF\x02\x01\x01 and so on", "ELF"),
        (b"MZ\x90", "Windows"),
        (b"PK\x03\x04", "ZIP"),
        (b"\n (module)", "text form"),
        (b"#!/bin/sh", "something else"),
        (b"\0as", "something else"),
    ];
    for (bytes, named) in cases {
        let finished = run(task(bytes));
        expect(&finished, Invalid, "not_wasm");
        assert!(finished.detail.contains(named), "{}", finished.detail);
    }
}

/// 27.
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

/// 19, 20, 21, 47.
#[test]
fn only_wasi_functions_can_be_imported_and_only_by_their_signature() {
    let cases = [
        r#"(import "env" "system" (func (param i32) (result i32)))"#,
        r#"(import "wasi_snapshot_preview1" "fd_exec" (func (param i32) (result i32)))"#,
        r#"(import "wasi_snapshot_preview1" "fd_close" (func (param i64) (result i32)))"#,
        r#"(import "wasi_snapshot_preview1" "fd_close" (func (param i32)))"#,
        r#"(import "wasi_snapshot_preview1" "proc_exit" (func (param i32) (result i32)))"#,
        r#"(import "wasi_snapshot_preview1" "fd_close" (global i32))"#,
        r#"(import "wasi_unstable" "fd_close" (func (param i32) (result i32)))"#,
        r#"(import "wasi:sockets/tcp@0.2.0" "connect" (func (param i32) (result i32)))"#,
        r#"(import "env" "table" (table 1 funcref))"#,
        r#"(import "env" "base" (global i32))"#,
    ];
    for import in cases {
        let finished = run(wat(&module(import)));
        expect(&finished, Invalid, "import");
        assert!(finished.detail.contains("it imports "), "{}", finished.detail);
    }
    let memory = r#"(module (import "env" "memory" (memory 1)) (func (export "_start")))"#;
    expect(&run(wat(memory)), Invalid, "import");
}

/// 8, 9, 48, 49, 50.
#[test]
fn features_that_tasks_may_not_use_are_named_as_such() {
    let cases = [
        r#"(module (memory (export "memory") i64 1) (func (export "_start")))"#.to_owned(),
        r#"(module (memory (export "memory") i64 2097152) (func (export "_start")))"#.to_owned(),
        module("(memory 1)"),
        r#"(module (memory (export "memory") 1 1 shared) (func (export "_start")))"#.to_owned(),
        module("(func (drop (i32.atomic.load (i32.const 0))))"),
        module("(func (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1))))"),
        module("(func (param v128) (drop (i8x16.relaxed_swizzle (local.get 0) (local.get 0))))"),
        module("(type (struct (field i32)))"),
        module("(type (array i32))"),
        module("(tag $e) (func (throw $e))"),
        module("(func (param externref))"),
        module("(type $f (func)) (func (param (ref null $f)) (call_ref $f (local.get 0)))"),
    ];
    for text in cases {
        let finished = run(wat(&text));
        expect(&finished, Invalid, "feature");
    }
    // A component begins like a module and is none.
    let finished = run(task(b"\0asm\x0d\0\x01\0"));
    expect(&finished, Invalid, "feature");
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

#[test]
fn arguments_are_bounded() {
    let mut many = wat(&module(""));
    many.args = vec!["x".repeat(1_000); 1_100];
    expect(&run(many), Invalid, "too_large");
    let mut cut = wat(&module(""));
    cut.args = vec!["a\0b".into()];
    expect(&run(cut), Invalid, "args");
}

#[test]
fn the_memory_asked_for_must_fit_the_task() {
    let mut small = wat(&module(""));
    small.limits.memory_bytes = 65_535;
    expect(&run(small), Limit, "memory");
}
