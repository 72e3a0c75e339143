//! The BOINC client's CPU cap: once a second it lets a task run or not, so that the sum comes out right if a task that
//! may run gets a whole processor. It looks at no CPU clock.
//!
//! After `throttler()` in the client's `client/app.cpp`, on a machine that keeps its promise.

/// What a sampler would see of such a task for so many seconds.
pub(super) fn samples(cap: u32, seconds: f64, every: f64) -> Vec<(f64, f64)> {
    let cap = f64::from(cap) / 100.0;
    let (mut owed, mut runs, mut cpu) = (0.0, false, 0.0);
    let per_second = (1.0 / every).round() as u64;
    let mut all = Vec::new();
    for sample in 0..(seconds / every) as u64 {
        if sample % per_second == 0 {
            owed += cap - if runs { 1.0 } else { 0.0 };
            runs = owed > 0.0;
        }
        all.push((sample as f64 * every, cpu));
        cpu += if runs { every } else { 0.0 };
    }
    all
}
