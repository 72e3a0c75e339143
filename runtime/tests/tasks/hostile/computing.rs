//! Programs that never end, or go too deep.

use super::case::Run::{Never, Tasks};
use super::case::{Case, Try};

pub(crate) const CASES: &[Case] = &[
    Case {
        number: 1,
        tries: "an endless loop",
        ends: &["limit/cpu"],
        note: "the kernel's clock of the process decides",
        run: Tasks(|| vec![endless("", "(loop $l (br $l))")]),
    },
    Case {
        number: 2,
        tries: "a tree of 2^60 calls, without a loop",
        ends: &["limit/cpu"],
        note: "",
        run: Tasks(|| {
            let tree =
                "(func $tree (param i32) (if (local.get 0) (then (call $tree (i32.sub (local.get 0) (i32.const 1)))
                (call $tree (i32.sub (local.get 0) (i32.const 1))))))";
            vec![endless(tree, "(call $tree (i32.const 60))")]
        }),
    },
    Case {
        number: 3,
        tries: "unbounded recursion, with frames of any size",
        ends: &["limit/stack"],
        note: "never votes",
        run: Tasks(|| {
            let large = format!("(func $deep (param i64) (local {}) (call $deep (local.get 1)))", "i64 ".repeat(1_000));
            vec![
                Try::with("(func $deep (call $deep))", "(call $deep)"),
                Try::with(
                    "(func $deep (param i32) (local i64 i64 i64) (call $deep (local.get 0)) (drop (local.get 1)))",
                    "(call $deep (i32.const 1))",
                ),
                Try::with(&large, "(call $deep (i64.const 1))"),
            ]
        }),
    },
    Case {
        number: 4,
        tries: "recursion through a table; endless tail calls",
        ends: &["limit/stack", "limit/cpu"],
        note: "a tail call takes no stack, and can be held and killed all the same",
        run: Tasks(|| {
            let table = "(table 1 funcref) (elem (i32.const 0) $deep) (type $t (func))
                (func $deep (call_indirect (type $t) (i32.const 0)))";
            let tail = "(table 1 funcref) (elem (i32.const 0) $spin) (type $t (func))
                (func $spin (return_call_indirect (type $t) (i32.const 0)))";
            vec![
                Try::with(table, "(call $deep)"),
                endless("(func $spin (return_call $spin))", "(call $spin)").ends("limit/cpu"),
                endless(tail, "(call $spin)").ends("limit/cpu"),
            ]
        }),
    },
    Case {
        number: 5,
        tries: "a host function that calls back into the program",
        ends: &[],
        note: "no host function calls into the program",
        run: Never,
    },
    Case {
        number: 13,
        tries: "overlapping copies of the whole memory, for ever",
        ends: &["limit/cpu"],
        note: "",
        run: Tasks(|| {
            vec![endless("", "(loop $l (memory.copy (i32.const 1) (i32.const 0) (i32.const 262143)) (br $l))")]
        }),
    },
    Case {
        number: 18,
        tries: "an endless loop in the start section",
        ends: &["limit/cpu"],
        note: "",
        run: Tasks(|| vec![endless("(func $boot (loop $l (br $l))) (start $boot)", "")]),
    },
    Case {
        number: 41,
        tries: "host calls for ever: yields, looks at the clock, random numbers, sleeps",
        ends: &["limit/cpu"],
        note: "time in the host is the task's",
        run: Tasks(|| {
            let calls = [
                "(call $sched_yield)",
                "(call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 0))",
                "(call $random_get (i32.const 0) (i32.const 262144))",
                "(call $poll_oneoff (i32.const 0) (i32.const 200) (i32.const 1) (i32.const 300))",
                "(call $fd_write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 300))",
            ];
            calls.map(|call| endless("", &format!("(loop $l (drop {call}) (br $l))"))).into()
        }),
    },
    Case {
        number: 53,
        tries: "finding out how deep the stack is, and saying so",
        ends: &["limit/stack"],
        note: "what it said before is no result: the ending does not vote",
        run: Tasks(|| {
            let deeper = "(func $deeper (param i32) (i32.store (i32.const 16) (local.get 0))
                (i32.store (i32.const 0) (i32.const 16)) (i32.store (i32.const 4) (i32.const 4))
                (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
                (call $deeper (i32.add (local.get 0) (i32.const 1))))";
            vec![Try::with(deeper, "(call $deeper (i32.const 0))").holds(|finished| {
                assert!(finished.output_bytes > 4_000 && !finished.outcome.votes(&finished.code));
            })]
        }),
    },
    Case {
        number: 61,
        tries: "a step that never returns, or returns nonsense",
        ends: &[],
        note: "a task is one call of `_start`, not steps; one that never returns is case 1",
        run: Never,
    },
];

/// A program that never ends by itself, with little time.
fn endless(more: &str, body: &str) -> Try {
    Try::with(more, body).given(|task| task.limits.cpu_ms = 150).holds(|finished| {
        assert!(finished.cpu_ms >= 150, "{} ms", finished.cpu_ms);
    })
}
