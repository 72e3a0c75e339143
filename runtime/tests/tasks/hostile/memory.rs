//! Memory and tables: too much of them, and beyond their ends.

use surge_protocol::Outcome::Host;

use super::case::Run::{Act, Tasks};
use super::case::{Case, Try};
use super::liar::Liar;
use super::stand::Stand;
use crate::door::{program, wat};
use surge_supervisor::Finished;

pub(crate) const CASES: &[Case] = &[
    Case {
        number: 6,
        tries: "growing memory until it is refused, or by more than there can be",
        ends: &["exit/160", "exit/1"],
        note: "`memory.grow` says −1 at the task's limit, on every machine at the same size",
        run: Tasks(|| {
            let creep =
                "(loop $l (br_if $l (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) (call $exit (memory.size))";
            let leap = |pages: i32| {
                let body = format!("(call $exit (i32.eq (memory.grow (i32.const {pages})) (i32.const -1)))");
                Try::body(&body).ends("exit/1")
            };
            let creep = Try::body(creep).given(|task| task.limits.memory_bytes = 10 << 20);
            vec![creep.holds(|finished| assert_eq!(finished.peak_memory_bytes, 10 << 20)), leap(-1), leap(65_536)]
        }),
    },
    Case {
        number: 7,
        tries: "declaring 4 GiB of memory",
        ends: &["limit/memory"],
        note: "before it is compiled; the detail has both figures",
        run: Tasks(|| {
            let declares = |pages: u32, allowed: u64| {
                let text = format!(r#"(module (memory (export "memory") {pages}) (func (export "_start")))"#);
                Try::of(wat(&text)).given(|task| task.limits.memory_bytes = allowed)
            };
            vec![
                declares(65_536, 1 << 30)
                    .says("it asks for 4294967296 bytes of memory, and the task allows 1073741824"),
                declares(1_025, 64 << 20).says("it asks for 67174400 bytes"),
                declares(1, 65_535).says("it asks for 65536 bytes"),
            ]
        }),
    },
    Case {
        number: 11,
        tries: "growing tables to 200 million elements, at once or step by step",
        ends: &["exit/1", "exit/1047000"],
        note: "`table.grow` says −1 where all tables together would have more than 1,048,576 elements",
        run: Tasks(|| {
            let leap = "(call $exit (i32.eq (table.grow $t (ref.null func) (i32.const 200000000)) (i32.const -1)))";
            let creep = "(loop $l (br_if $l (i32.ne (table.grow $t (ref.null func) (i32.const 1000)) (i32.const -1))))
                (call $exit (table.size $t))";
            vec![
                Try::with("(table $t 1 funcref)", leap),
                Try::with("(table $t 0 funcref) (table $u 1000 funcref)", creep).ends("exit/1047000"),
            ]
        }),
    },
    Case {
        number: 14,
        tries: "loads and stores beyond memory, at its edge and by every kind of wrap-around",
        ends: &["done/0", "trap/memory_out_of_bounds"],
        note: "the last byte that there is can be used, the first that there is not can't",
        run: Tasks(edges),
    },
    Case {
        number: 54,
        tries: "growing memory on a machine that has none left",
        ends: &["host/memory", "host/crashed"],
        note: "a −1 within the limit would be a result that depends on the machine; where there is not enough for the worker itself, it ends",
        run: Act(starved),
    },
];

/// Four pages of memory.
const END: u32 = 4 * 65_536;
const LOADS: [(&str, u32); 5] =
    [("i32.load8_u", 1), ("i32.load16_u", 2), ("i32.load", 4), ("i64.load", 8), ("v128.load", 16)];

fn edges() -> Vec<Try> {
    let load = |(name, _): (&str, u32), at: u32| format!("(drop ({name} (i32.const {at})))");
    let within: Vec<String> = LOADS.iter().map(|&kind| load(kind, END - kind.1)).collect();
    // Across the edge of a page that is followed by another.
    let across: Vec<String> = LOADS.iter().map(|&kind| load(kind, 65_536 - kind.1 / 2)).collect();
    let mut tries = vec![Try::body(&(within.concat() + &across.concat()))];
    let beyond = LOADS.iter().map(|&kind| load(kind, END - kind.1 + 1));
    let wild = [
        "(drop (i32.load (i32.const -1)))",
        "(drop (i64.load (i32.const -8)))",
        "(i64.store (i32.const -8) (i64.const 1))",
        "(i32.store8 (i32.const 262144) (i32.const 1))",
        "(drop (i32.load8_u offset=262144 (i32.const 0)))",
        "(drop (i32.load8_u offset=65536 (i32.const 196608)))",
        "(drop (i32.load8_u offset=4294967295 (i32.const 0)))",
        "(drop (i32.load8_u offset=4294967295 (i32.const 1)))",
        "(drop (i32.load8_u offset=4294967295 (i32.const -1)))",
        "(memory.fill (i32.const 262143) (i32.const 1) (i32.const 2))",
        "(memory.fill (i32.const 1) (i32.const 1) (i32.const -1))",
        "(memory.copy (i32.const 0) (i32.const 262144) (i32.const 1))",
        "(memory.copy (i32.const -1) (i32.const 0) (i32.const 1))",
    ];
    tries.extend(beyond.chain(wild.map(str::to_owned)).map(|body| Try::body(&body)).map(trapped));
    let segments = ["(data (i32.const 262144) \"x\")", "(data (i32.const -1) \"xy\")"];
    tries.extend(segments.map(|segment| trapped(Try::with(segment, ""))));
    tries
}

fn trapped(one: Try) -> Try {
    one.ends("trap/memory_out_of_bounds").says("outside its bounds")
}

/// The real worker, with less memory from its system than its task may have, and with less than it needs for itself.
fn starved(stand: &Stand) -> Vec<Finished> {
    let liar = Liar::new();
    let grow = "(loop $l (br_if $l (i32.ne (memory.grow (i32.const 100)) (i32.const -1)))) (call $exit (memory.size))";
    let run = |kib: u32| {
        let mut task = wat(&program(grow));
        task.limits.memory_bytes = 4 << 30;
        stand.run_in(liar.worker(&format!("ulimit -d {kib}; exec {}", crate::door::worker().display())), task)
    };
    let finished = vec![run(300_000), run(8_000)];
    assert!(finished.iter().all(|finished| finished.outcome == Host));
    finished
}
