//! What metered modules are, without running them: the tests that run them are in `tests/tasks/fuel.rs`.

use proptest::prelude::*;
use wasmparser::{Parser, Payload, Validator};

use super::points::{Point, plan};
use super::*;
use crate::engine::FEATURES;

fn valid(module: &[u8]) {
    Validator::new_with_features(FEATURES).validate_all(module).unwrap();
}

fn points(body: &str) -> Vec<Point> {
    let module = wat::parse_str(format!("(module (func (local $i i32) {body}))")).unwrap();
    let mut bodies = Parser::new(0).parse_all(&module).filter_map(|payload| match payload.unwrap() {
        Payload::CodeSectionEntry(body) => Some(plan(&body).unwrap().points),
        _ => None,
    });
    bodies.next().unwrap()
}

fn costs(body: &str) -> Vec<(i64, bool)> {
    points(body).iter().map(|point| (point.cost, point.check)).collect()
}

fn many(count: usize) -> String {
    "(local.set $i (i32.const 1))".repeat(count)
}

#[test]
fn straight_code_is_charged_once_and_also_after_a_block() {
    assert_eq!(costs(""), [(1, true)]);
    assert_eq!(costs(&many(50)), [(101, true)]);
    assert_eq!(costs(&format!("(block {} ) {}", many(50), many(50))), [(201, true)]);
}

#[test]
fn a_little_branch_is_charged_whether_taken_or_not_and_a_large_one_where_it_is_taken() {
    let branch = |count| format!("(if (local.get $i) (then {})) {}", many(count), many(10));
    // One for the function, two for the condition, and what follows in any case.
    assert_eq!(costs(&branch(2)), [(1 + 2 + 4 + 20, true)]);
    assert_eq!(costs(&branch(20)), [(1 + 2 + 20, true), (40, false)]);
    let skipped = |count| format!("(block (br_if 0 (local.get $i)) {}) {}", many(count), many(10));
    assert_eq!(costs(&skipped(20)), [(1 + 2 + 20, true), (40, false)]);
    let left = format!("(br_if 0 (local.get $i)) {}", many(20));
    assert_eq!(costs(&left), [(1 + 2, true), (40, false)], "what follows may be skipped by leaving the function");
}

#[test]
fn every_turn_of_a_loop_is_charged_and_looked_at() {
    assert_eq!(costs("(loop (br 0))"), [(1, true), (1, true)]);
    let nested = "(loop (loop (br_if 0 (local.get $i))) (br_if 0 (local.get $i)))";
    assert_eq!(costs(nested), [(1, true), (2, true), (2, true)]);
    let outer_only = "(loop (loop (br 1)))";
    assert_eq!(costs(outer_only), [(1, true), (0, true), (1, true)]);
}

#[test]
fn code_that_is_never_reached_costs_nothing() {
    assert_eq!(costs(&format!("return {} (loop (block {} (br 0)))", many(20), many(3))), [(1, true)]);
}

#[test]
fn what_the_host_needs_is_exported_and_what_nobody_needs_is_not() {
    let module = wat::parse_str(
        r#"(module (memory (export "memory") 1) (global i32 (i32.const 7)) (global (export "surge:left") i32 (i32.const 1))
             (func $two (result i32 i64) (i32.const 1) (i64.const 2))
             (func $begin (drop (drop (call $two))))
             (func (export "_start") (memory.fill (i32.const 0) (i32.const 1) (i32.const 100)))
             (start $begin))"#,
    )
    .unwrap();
    let metered = metered(&module).unwrap();
    valid(&metered);
    let exports = outline(&metered).unwrap();
    let names: Vec<_> = exports.exports.iter().map(|(name, _, index)| (*name, *index)).collect();
    assert_eq!(names, [("memory", 0), ("_start", 2), (START, 1), (LEFT, 2)]);
    assert_eq!(exports.start, None);
}

/// Bodies of nested blocks, loops and branches between them.
fn body() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        (1_usize..20).prop_map(many),
        (0_u32..3).prop_map(|depth| format!("(br_if {depth} (local.get $i))")),
        Just("(call 0)".to_owned()),
        Just("(br_table 0 1 2 (local.get $i))".to_owned()),
        Just("(return)".to_owned()),
        Just("(memory.copy (i32.const 0) (i32.const 1) (local.get $i))".to_owned()),
        Just("(unreachable)".to_owned()),
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        let inside = proptest::collection::vec(inner, 0..6).prop_map(|parts| parts.concat());
        (0_u8..4, inside.clone(), inside).prop_map(|(kind, one, other)| match kind {
            0 => format!("(block {one})"),
            1 => format!("(loop {one})"),
            2 => format!("(if (local.get $i) (then {one}))"),
            _ => format!("(if (local.get $i) (then {one}) (else {other}))"),
        })
    })
}

proptest! {
    #[test]
    fn metered_modules_are_valid(body in body()) {
        // Three blocks around, so that every depth is one.
        let text = format!("(module (memory (export \"memory\") 1) (func (local $i i32) (block (block (block {body})))))");
        let module = wat::parse_str(text).unwrap();
        valid(&module);
        valid(&metered(&module).unwrap());
    }
}
