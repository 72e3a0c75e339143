//! clock_res_get, clock_time_get.

use crate::Case;
use crate::raw::*;

pub const CASES: &[Case] = &[
    ("clock_getres-monotonic", |_| resolution(CLOCKID_MONOTONIC)),
    ("clock_getres-realtime", |_| resolution(CLOCKID_REALTIME)),
    ("clock_gettime-monotonic", |_| forward(CLOCKID_MONOTONIC)),
    ("clock_gettime-realtime", |_| forward(CLOCKID_REALTIME)),
    ("clock_time_get", |_| precision()),
];

fn resolution(clock: Clockid) {
    let resolution = raw!(clock_res_get(clock)).expect("clock_res_get");
    assert!((1..=1_000_000_000).contains(&resolution), "{resolution} ns");
}

fn forward(clock: Clockid) {
    let read = || raw!(clock_time_get(clock, 1)).expect("clock_time_get");
    let mut last = read();
    for _ in 0..100 {
        let now = read();
        assert!(now >= last);
        last = now;
    }
}

/// Any precision may be asked for.
fn precision() {
    let first = raw!(clock_time_get(CLOCKID_MONOTONIC, 0)).expect("precision 0");
    let second = raw!(clock_time_get(CLOCKID_MONOTONIC, 1_000_000)).expect("precision of a millisecond");
    assert!(first <= second);
}
