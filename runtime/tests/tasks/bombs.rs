//! Modules at the bounds of what reaches the compiler, and beyond. (More of those: hostile cases 10 and 22 to 26.)

use surge_protocol::Outcome::{Invalid, Limit};

use crate::door::{expect, run, task, wat};

/// Unsigned LEB128.
pub(crate) fn leb(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

fn section(id: u8, body: &[u8]) -> Vec<u8> {
    [&[id][..], &leb(body.len() as u64), body].concat()
}

/// A command whose functions have these bodies (locals and operators); function 0 is `_start`.
pub(crate) fn module(bodies: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let count = leb(bodies.len() as u64);
    let functions = [count.clone(), vec![0; bodies.len()]].concat();
    let code: Vec<u8> =
        bodies.iter().map(AsRef::as_ref).flat_map(|body| [&leb(body.len() as u64), body].concat()).collect();
    [
        b"\0asm\x01\0\0\0".to_vec(),
        section(1, &[1, 0x60, 0, 0]),
        section(3, &functions),
        section(5, &[1, 0, 1]),
        section(7, b"\x02\x06memory\x02\0\x06_start\0\0"),
        section(10, &[count, code].concat()),
    ]
    .concat()
}

#[track_caller]
fn refused(module: &[u8], rule: &str) {
    let finished = run(task(module));
    expect(&finished, Invalid, "too_large");
    assert!(finished.detail.starts_with(rule), "{}", finished.detail);
}

pub(crate) const EMPTY: &[u8] = &[0, 0x0b];

#[test]
fn too_many_values_at_once() {
    let piled = [vec![0], [0x41, 0].repeat(20_000), vec![0x1a; 20_000], vec![0x0b]].concat();
    refused(&module(&[piled]), "waiting operands: 16385,");
    refused(
        &wat::parse_str(format!("(module (type (func (result {}))))", "i32 ".repeat(100))).unwrap(),
        "results of a type: 100,",
    );
}

#[test]
fn too_large_a_module() {
    let padding = section(0, &[vec![1, b'x'], vec![0; 40 << 20]].concat());
    refused(&[module(&[EMPTY]), padding].concat(), "module bytes: ");
}

/// What no count catches, the CPU limit does: it holds for the compiler too.
#[test]
fn a_slow_compilation_is_charged_to_the_task() {
    let heavy = [vec![0], [0x41, 0, 0x41, 1, 0x6a, 0x1a].repeat(170_000), vec![0x0b]].concat();
    let mut task = task(module(&vec![heavy; 30]));
    task.limits.cpu_ms = 400;
    let finished = run(task);
    expect(&finished, Limit, "cpu");
    assert!(finished.started_after.is_zero());
}

/// The largest that passes must still be compiled in reasonable time and memory.
#[test]
fn the_bounds_leave_nothing_that_takes_the_compiler_minutes() {
    let many = module(&vec![EMPTY; 65_536]);
    let nested = module(&[[vec![0], [0x02, 0x40].repeat(4_095), vec![0x0b; 4_096]].concat()]);
    let branchy = module(&[[vec![0, 0x41, 0, 0x0e], leb(65_520), vec![0; 65_521], vec![0x0b]].concat()]);
    let carried = module(&[[vec![1], leb(4_000), vec![0x7f], [0x03, 0x40, 0x0b].repeat(4_000), vec![0x0b]].concat()]);
    for (name, module) in [("many", many), ("nested", nested), ("branchy", branchy), ("carried", carried)] {
        let finished = run(task(module));
        println!("{name}: {} ms CPU, started after {:?}", finished.cpu_ms, finished.started_after);
        expect(&finished, surge_protocol::Outcome::Done, 0);
    }
    // Kept honest by being a module at all.
    assert!(wat("(module)").module.len() == 8);
}
