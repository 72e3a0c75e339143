//! The same task gives the same bytes: in any process, metered or not. (Paused at any moment: hostile case 57.)

use surge_protocol::Outcome::Done;
use surge_protocol::task::Meter;
use surge_supervisor::Task;

use crate::door::{expect, print, program_with, run, wat};

/// Mixes integers, floats, SIMD, memory, randomness and time into 64 KiB of output, in about a second for
/// a hundred million rounds.
pub(crate) fn mixture(rounds: u32) -> Task {
    let more = "(global $x (mut i64) (i64.const 88172645463325252)) (global $f (mut f64) (f64.const 0.5))
      (func $next (result i64)
        (global.set $x (i64.xor (global.get $x) (i64.shl (global.get $x) (i64.const 13))))
        (global.set $x (i64.xor (global.get $x) (i64.shr_u (global.get $x) (i64.const 7))))
        (global.set $x (i64.xor (global.get $x) (i64.shl (global.get $x) (i64.const 17))))
        (global.get $x))";
    let body = format!(
        "(drop (call $random_get (i32.const 0) (i32.const 8)))
         (global.set $x (i64.or (i64.const 1) (i64.xor (global.get $x) (i64.load (i32.const 0)))))
         (loop $l
           (global.set $f (f64.sqrt (f64.add (f64.mul (global.get $f) (f64.const 1.0000001))
             (f64.convert_i64_u (i64.and (call $next) (i64.const 65535))))))
           (local.set $n (i32.and (i32.wrap_i64 (global.get $x)) (i32.const 0xfff8)))
           (i64.store (local.get $n) (i64.xor (i64.load (local.get $n)) (i64.reinterpret_f64 (global.get $f))))
           (v128.store (i32.const 131072) (f32x4.div (v128.load (local.get $n)) (v128.load (i32.const 131072))))
           (i64.store (local.get $n) (i64.add (i64.load (local.get $n)) (i64.load (i32.const 131080))))
           (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const {rounds}))))
         (drop (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 16)))
         {}",
        print(0, 65_536)
    );
    wat(&program_with(more, &body))
}

/// NaN bits included: the mixture divides anything by anything.
#[test]
fn two_processes_agree_and_another_seed_differs() {
    let (first, second) = (run(mixture(100_000)), run(mixture(100_000)));
    expect(&first, Done, 0);
    assert_eq!(first.output.len(), 65_536);
    assert_eq!((first.digest, &first.output), (second.digest, &second.output));
    let other = Task { seed: 1, ..mixture(100_000) };
    assert_ne!(run(other).digest, first.digest);
}

#[test]
fn a_meter_does_not_change_the_result() {
    let plain = run(mixture(100_000));
    let metered = run(Task { meter: Meter::Fuel { budget: u64::MAX }, ..mixture(100_000) });
    expect(&metered, Done, 0);
    assert_eq!(metered.digest, plain.digest);
    assert_eq!(metered.runtime_class, plain.runtime_class);
}
