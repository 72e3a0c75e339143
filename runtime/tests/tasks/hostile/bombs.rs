//! Modules built to blow up the compiler: each is refused before it by the rule that it breaks, and the detail says the
//! rule, the value and the bound.

use super::case::Run::Tasks;
use super::case::{Case, Try};
use crate::bombs::{EMPTY, leb, module};
use crate::door::{task, wat};

const REFUSED: &[&str] = &["invalid/too_large"];

pub(crate) const CASES: &[Case] = &[
    Case {
        number: 10,
        tries: "a table of 100 million elements",
        ends: REFUSED,
        note: "",
        run: Tasks(|| {
            let of = |tables: &str| {
                Try::of(wat(&format!(r#"(module {tables} (memory (export "memory") 1) (func (export "_start")))"#)))
            };
            vec![
                of("(table 100000000 funcref)").says("table elements: 100000000, and at most 1048576 are allowed"),
                of(&"(table 200000 funcref)".repeat(6)).says("table elements: 1200000, and at most 1048576"),
                of(&"(table 1 funcref)".repeat(9)).says("tables: 9, and at most 8"),
            ]
        }),
    },
    Case {
        number: 22,
        tries: "200,000 functions",
        ends: REFUSED,
        note: "",
        run: Tasks(|| vec![bomb(&vec![EMPTY; 200_000], "functions: 200000, and at most 65536 are allowed")]),
    },
    Case {
        number: 23,
        tries: "one function of 7.6 MB",
        ends: REFUSED,
        note: "",
        run: Tasks(|| {
            let body = [vec![0], vec![0x01; 7_600_000], vec![0x0b]].concat();
            vec![bomb(&[body], "bytes of a function: 7600002, and at most 1048576 are allowed")]
        }),
    },
    Case {
        number: 24,
        tries: "50,000 locals, or fewer carried through many loops",
        ends: REFUSED,
        note: "",
        run: Tasks(|| {
            let i32_locals = |count: u64| [vec![1], leb(count), vec![0x7f]].concat();
            let many = [i32_locals(50_000), vec![0x0b]].concat();
            let millions = [vec![2], leb(u64::from(u32::MAX)), vec![0x7f], leb(1), vec![0x7f, 0x0b]].concat();
            // Seven loops in each other, and all the locals inside.
            let touched: Vec<u8> =
                (0..16_000).flat_map(|local| [vec![0x20], leb(local), vec![0x1a]].concat()).collect();
            let carried = [i32_locals(16_000), [0x03, 0x40].repeat(7), touched, vec![0x0b; 8]].concat();
            vec![
                bomb(&[many], "locals of a function: 50000, and at most 16384 are allowed"),
                bomb(&[millions], "locals of a function: 4294967295, and at most 16384 are allowed"),
                bomb(&[carried], "locals carried by loops of a function: 100002, and at most 100000 are allowed"),
            ]
        }),
    },
    Case {
        number: 25,
        tries: "a branch table with a million targets",
        ends: REFUSED,
        note: "",
        run: Tasks(|| {
            let table = [vec![0, 0x41, 0, 0x0e], leb(1_000_000), vec![0; 1_000_001], vec![0x0b]].concat();
            vec![bomb(&[table], "branch targets of a function: 1000000, and at most 65520 are allowed")]
        }),
    },
    Case {
        number: 26,
        tries: "50,000 blocks in each other",
        ends: REFUSED,
        note: "",
        run: Tasks(|| {
            let nested = [vec![0], [0x02, 0x40].repeat(50_000), vec![0x0b; 50_001]].concat();
            vec![bomb(&[nested], "nested blocks: 4097, and at most 4096 are allowed")]
        }),
    },
];

/// A module of these function bodies, refused in these words before it reached the compiler.
fn bomb(bodies: &[impl AsRef<[u8]>], says: &'static str) -> Try {
    Try::of(task(module(bodies))).says(says).holds(|finished| assert!(finished.started_after.is_zero()))
}
