//! What could make two runs of one task differ: time, randomness, NaN, tiny floats, pauses.

use std::path::Path;

use surge_protocol::task::Meter;
use surge_supervisor::{Finished, Task};

use super::case::Run::{Act, Tasks};
use super::case::{Case, Try};
use super::stand::{Dice, Stand};
use crate::determinism::mixture;
use crate::door::{print, program, program_with, until, wait_for_in, wait_until_stopped, wat};

pub(crate) const CASES: &[Case] = &[
    Case {
        number: 42,
        tries: "reading the time of day, of two runs",
        ends: &["done/0"],
        note: "each look moves a virtual clock by a microsecond from 2026-01-01",
        run: Act(the_clock_moves_by_looking),
    },
    Case {
        number: 51,
        tries: "the bits of NaN, of every operation on floats",
        ends: &["done/0"],
        note: "the same in every process of a runtime class, metered or not; across instruction sets nothing is compared, the class names the set",
        run: Act(nan_bits),
    },
    Case {
        number: 52,
        tries: "floats below the smallest normal number",
        ends: &["done/0"],
        note: "exact, never rounded to zero",
        run: Tasks(|| {
            let body = format!(
                "(f64.store (i32.const 0) (f64.mul (f64.const 0x1p-1022) (f64.const 0.5)))
                 (f32.store (i32.const 8) (f32.mul (f32.const 0x1p-126) (f32.const 0.25))) {}",
                print(0, 12)
            );
            vec![Try::body(&body).holds(|finished| {
                assert_eq!(finished.output[..8], (f64::MIN_POSITIVE / 2.0).to_le_bytes());
                assert_eq!(finished.output[8..], (f32::MIN_POSITIVE / 4.0).to_le_bytes());
            })]
        }),
    },
    Case {
        number: 57,
        tries: "a thousand pauses at random moments",
        ends: &["done/0"],
        note: "the digest of the undisturbed run",
        run: Act(a_thousand_pauses),
    },
    Case {
        number: 67,
        tries: "measuring a neighbour by a fine clock",
        ends: &["done/0", "host/killed"],
        note: "no real clock is in reach, and no two tasks share a process",
        run: Act(no_fine_clock),
    },
];

/// Looks at the clock `looks` times with `between` between them, and prints what it saw.
fn watch(looks: u32, between: &str) -> Task {
    let body = format!(
        "(loop $l (drop (call $clock_time_get (i32.const 0) (i64.const 1) (i32.mul (local.get $i) (i32.const 8)))) {between}
           (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const {looks})))) {}",
        print(0, looks * 8)
    );
    wat(&program(&body))
}

fn times(finished: &Finished) -> Vec<u64> {
    finished.output.chunks_exact(8).map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap())).collect()
}

fn the_clock_moves_by_looking(stand: &Stand) -> Vec<Finished> {
    let runs = [stand.run(watch(4, "")), stand.run(watch(4, ""))];
    for finished in &runs {
        assert_eq!(times(finished), [1, 2, 3, 4].map(|n| 1_767_225_600_000_000_000 + n * 1_000));
    }
    runs.into()
}

fn no_fine_clock(stand: &Stand) -> Vec<Finished> {
    // However long something takes, it takes a microsecond.
    let work = "(local.set $n (i32.const 0))
        (loop $w (br_if $w (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.mul (local.get $i) (i32.const 1000)))))";
    let watched = stand.run(watch(100, work));
    assert!(times(&watched).windows(2).all(|pair| pair[1] - pair[0] == 1_000));
    let endless = || stand.supervisor.run(wat(&program("(loop $l (br $l))")), 1.0);
    let pair = [endless(), endless()];
    let pids = pair.each_ref().map(|running| wait_for_in(&stand.supervisor, running.id()).pid);
    assert_ne!(pids[0], pids[1]);
    let killed = pair.map(|running| {
        stand.supervisor.kill(running.id());
        running.wait()
    });
    [vec![watched], killed.into()].concat()
}

/// Infinities, zeros, tiny numbers, and NaN of either sign and kind with bits of their own, as `f64` bits.
const SPECIAL: [u64; 14] = [
    0,
    1 << 63,
    1,
    0x3ff0_0000_0000_0000,
    0xbff8_0000_0000_0000,
    0x7fef_ffff_ffff_ffff,
    0x7ff0_0000_0000_0000,
    0xfff0_0000_0000_0000,
    0x7ff8_0000_0000_0000,
    0xfff8_0000_0000_0000,
    0x7ff8_0000_dead_beef,
    0xfff8_1234_5678_9abc,
    0x7ff0_0000_0000_0001,
    0xfff4_0000_ffc0_0001,
];

/// Every operation of every width on every pair, its bits summed up into a product that forgets nothing.
fn every_float_operation() -> Task {
    let data: String = SPECIAL.iter().flat_map(|bits| bits.to_le_bytes()).map(|byte| format!("\\{byte:02x}")).collect();
    let mut mixes = String::new();
    for (kind, vector) in [("f32", "f32x4"), ("f64", "f64x2")] {
        let (a, b) = (format!("({kind}.load (local.get $a))"), format!("({kind}.load (local.get $b))"));
        let store =
            |value: &str| format!("({kind}.store (i32.const 2000) {value}) (call $mix (i64.load (i32.const 2000)))\n");
        for binary in ["add", "sub", "mul", "div", "min", "max", "copysign"] {
            mixes += &store(&format!("({kind}.{binary} {a} {b})"));
        }
        for unary in ["sqrt", "ceil", "floor", "trunc", "nearest", "neg", "abs"] {
            mixes += &store(&format!("({kind}.{unary} {a})"));
        }
        let (a, b) = ("(v128.load (local.get $a))", "(v128.load (local.get $b))");
        let mut store = |value: &str| {
            mixes += &format!(
                "(v128.store (i32.const 2000) {value}) (call $mix (i64.load (i32.const 2000))) (call $mix (i64.load (i32.const 2008)))\n"
            );
        };
        for binary in ["add", "sub", "mul", "div", "min", "max", "pmin", "pmax"] {
            store(&format!("({vector}.{binary} {a} {b})"));
        }
        for unary in ["sqrt", "ceil", "floor", "trunc", "nearest", "neg", "abs"] {
            store(&format!("({vector}.{unary} {a})"));
        }
    }
    mixes += "(f32.store (i32.const 2000) (f32.demote_f64 (f64.load (local.get $a)))) (call $mix (i64.load (i32.const 2000)))
        (f64.store (i32.const 2000) (f64.promote_f32 (f32.load (local.get $a)))) (call $mix (i64.load (i32.const 2000)))";
    let end = 1_024 + 8 * SPECIAL.len();
    let more = format!(
        "(data (i32.const 1024) \"{data}\") (global $sum (mut i64) (i64.const 0))
         (func $mix (param i64) (global.set $sum (i64.mul (i64.const 0x9e3779b97f4a7c15)
           (i64.add (i64.rotl (global.get $sum) (i64.const 23)) (local.get 0)))))
         (func $all (param $a i32) (param $b i32) {mixes})"
    );
    let body = format!(
        "(local.set $i (i32.const 1024))
         (loop $a (local.set $n (i32.const 1024))
           (loop $b (call $all (local.get $i) (local.get $n))
             (br_if $b (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 4))) (i32.const {end}))))
           (br_if $a (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 4))) (i32.const {end}))))
         (i64.store (i32.const 0) (global.get $sum)) {}",
        print(0, 8)
    );
    wat(&program_with(&more, &body))
}

fn nan_bits(stand: &Stand) -> Vec<Finished> {
    let metered = Task { meter: Meter::Fuel { budget: u64::MAX }, ..every_float_operation() };
    let runs = vec![
        stand.run(every_float_operation()),
        stand.run(every_float_operation()),
        stand.run_in(crate::door::worker(), every_float_operation()),
        stand.run(metered),
    ];
    assert!(runs.iter().all(|finished| finished.output == runs[0].output && finished.output != [0; 8]));
    let class = &runs[0].runtime_class;
    assert!(class.contains(std::env::consts::ARCH.replace('_', "-").as_str()), "{class}");
    runs
}

fn a_thousand_pauses(stand: &Stand) -> Vec<Finished> {
    let undisturbed = stand.run(mixture(30_000_000));
    // Drawn from four fifths of its time, so that none comes too late.
    let mut dice = Dice::new(57);
    let mut moments: Vec<u64> = (0..1_000).map(|_| dice.below(undisturbed.cpu_ms * 4 / 5)).collect();
    moments.sort_unstable();
    let running = stand.supervisor.run(mixture(30_000_000), 1.0);
    let id = running.id();
    let pid = wait_for_in(&stand.supervisor, id).pid;
    for moment in moments {
        until(|| (wait_for_in(&stand.supervisor, id).cpu_ms >= moment).then_some(()));
        stand.supervisor.set_share(id, 0.0);
        wait_until_stopped(pid);
        stand.supervisor.set_share(id, if dice.below(3) == 0 { 0.7 } else { 1.0 });
    }
    assert!(Path::new(&format!("/proc/{pid}")).exists(), "it was paused a thousand times, and had not ended yet");
    stand.supervisor.set_share(id, 1.0);
    let disturbed = running.wait();
    assert_eq!(disturbed.digest, undisturbed.digest);
    vec![undisturbed, disturbed]
}
