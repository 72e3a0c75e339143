//! `throttle`: how closely a worker's CPU time follows its cap, by a clock that is not Surge's.
//!
//! `surge task run --cpu-percent N` runs an endless program; the worker process's CPU clock is read from outside every 10 ms.
//! Beside it the rule of the BOINC client, simulated on a machine that does nothing else.

mod boinc;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::time::{ClockId, clock_getcpuclockid};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::figures::{load, mean, quantile, round, sorted};
use crate::run::{self, cargo, say, target};

const CAPS: [u32; 7] = [5, 10, 25, 50, 75, 90, 95];
const SAMPLE: Duration = Duration::from_millis(10);
/// Of each cap and number of workers.
const LONG: Duration = Duration::from_secs(12);
const PATIENCE: Duration = Duration::from_secs(20);
const WINDOWS: [(f64, &str); 2] = [(0.1, "100ms"), (1.0, "1s")];

/// A module that exports what a task must, and loops.
const ENDLESS: &[u8] = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x05\x03\x01\0\x01\
    \x07\x13\x02\x06memory\x02\0\x06_start\0\0\x0a\x09\x01\x07\0\x03\x40\x0c\0\x0b\x0b";

/// Seconds of wall clock and of CPU clock, read together.
type Samples = Vec<(f64, f64)>;

/// What one worker did.
#[derive(Debug)]
struct Seen {
    samples: Samples,
    /// Percent of the time in which it was let run and had to wait for a processor: others had it.
    waited: f64,
}

/// How far windows are from the cap, points of a core.
#[derive(Debug, Clone, Copy)]
struct Spread {
    p50: f64,
    p99: f64,
    max: f64,
}

pub(super) fn run() -> Result<Value> {
    run::run(&mut cargo(&["build", "--locked", "--release", "-p", "surge-cli", "-p", "surge-runtime"]))?;
    let folder = target().join("bench");
    std::fs::create_dir_all(&folder)?;
    let module = folder.join("endless.wasm");
    std::fs::write(&module, ENDLESS)?;
    say(format_args!("throttle: {LONG:?} for each cap, CPU clock read every {SAMPLE:?}; errors in points of one core"));
    let mut rows = Vec::new();
    for workers in [1, 2] {
        for cap in CAPS {
            let before = load();
            for seen in watch(workers, cap, &module)? {
                rows.push(row(workers, cap, &seen, before));
            }
        }
    }
    let worst = |key: &str| {
        let all = rows.iter().filter_map(|row| row[key].as_f64().map(|value| (value, &row["cap_percent"])));
        all.max_by(|a, b| a.0.total_cmp(&b.0))
    };
    let of = |key| worst(key).map(|(value, _)| value);
    let figures = json!({
        "bench": "throttle",
        "mean_error_points": of("mean_error_points"), "mean_error_cap_percent": worst("mean_error_points").map(|(_, cap)| cap),
        "spread_1s_points": of("spread_1s_points"), "spread_1s_cap_percent": worst("spread_1s_points").map(|(_, cap)| cap),
        "spread_100ms_points": of("spread_100ms_points"), "spread_100ms_cap_percent": worst("spread_100ms_points").map(|(_, cap)| cap),
        "seconds": LONG.as_secs(), "rows": rows,
        "boinc_rule": CAPS.map(boinc_row),
    });
    say(format_args!(
        "worst cap: mean {}, p99 of 1 s windows {}, p99 of 100 ms windows {}",
        figures["mean_error_points"], figures["spread_1s_points"], figures["spread_100ms_points"]
    ));
    Ok(figures)
}

/// Samples of each of so many workers at a cap, all at the same time.
fn watch(workers: usize, cap: u32, module: &Path) -> Result<Vec<Seen>> {
    let mut tasks = Vec::new();
    for _ in 0..workers {
        tasks.push(Task::start(cap, module)?);
    }
    let found = tasks.iter().map(Task::clock).collect::<Result<Vec<_>>>()?;
    let waited = || found.iter().map(|&(pid, _)| waited(pid)).collect::<Result<Vec<_>>>();
    let before = waited()?;
    let begun = Instant::now();
    let mut samples = vec![Samples::new(); workers];
    for tick in 1_u32.. {
        for ((_, clock), samples) in found.iter().zip(&mut samples) {
            let cpu = Duration::from(clock.now().context("a worker ended early")?);
            samples.push((begun.elapsed().as_secs_f64(), cpu.as_secs_f64()));
        }
        if begun.elapsed() >= LONG {
            break;
        }
        std::thread::sleep((SAMPLE * tick).saturating_sub(begun.elapsed()));
    }
    let long = begun.elapsed().as_secs_f64();
    let waits = waited()?.into_iter().zip(before).map(|(after, before)| 100.0 * (after - before) / long);
    Ok(samples.into_iter().zip(waits).map(|(samples, waited)| Seen { samples, waited }).collect())
}

/// Seconds that a process has waited for a processor.
fn waited(pid: i32) -> Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).context("a worker ended early")?;
    let nanoseconds: f64 = text.split_whitespace().nth(1).context("schedstat has a second number")?.parse()?;
    Ok(nanoseconds / 1e9)
}

/// `surge task run` with its worker; killed when it is dropped.
#[derive(Debug)]
struct Task(Child);

impl Task {
    fn start(cap: u32, module: &Path) -> Result<Self> {
        let mut command = Command::new(target().join("release/surge"));
        command.args(["task", "run", "--cpu-seconds", "1000", "--cpu-percent"]).arg(cap.to_string()).arg(module);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        Ok(Self(child))
    }

    /// The worker and its CPU clock, once the program itself is running.
    fn clock(&self) -> Result<(i32, ClockId)> {
        let patience = Instant::now() + PATIENCE;
        while Instant::now() < patience {
            if let Some(pid) = child_of(self.0.id()) {
                let clock = clock_getcpuclockid(Pid::from_raw(pid))?;
                // What it used to start, it used before.
                if Duration::from(clock.now()?) > Duration::from_millis(50) {
                    return Ok((pid, clock));
                }
            }
            std::thread::sleep(SAMPLE);
        }
        bail!("`surge task run` started no worker that computes")
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The first child of any thread of a process.
fn child_of(pid: u32) -> Option<i32> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten();
    let mut children = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    children.find_map(|children| children.split_whitespace().next()?.parse().ok())
}

fn row(workers: usize, cap: u32, seen: &Seen, load: f64) -> Value {
    let (samples, waited) = (&seen.samples, seen.waited);
    let [hundred, second] = WINDOWS.map(|(length, _)| spread(samples, length, cap));
    let error = mean_error(samples, cap);
    say(format_args!(
        "{workers} worker(s) at {cap:>2} %: mean {error:.3}; 1 s: p50 {:.2} p99 {:.2} max {:.2}; 100 ms: p50 {:.2} p99 {:.2} max {:.2}; waited {waited:.1} %, load {load:.1}",
        second.p50, second.p99, second.max, hundred.p50, hundred.p99, hundred.max
    ));
    json!({
        "workers": workers, "cap_percent": cap, "load": load, "waited_percent": round(waited, 2),
        "mean_error_points": round(error, 4),
        "spread_1s_points": round(second.p99, 3), "spread_1s_p50_points": round(second.p50, 3), "spread_1s_max_points": round(second.max, 3),
        "spread_100ms_points": round(hundred.p99, 3), "spread_100ms_p50_points": round(hundred.p50, 3), "spread_100ms_max_points": round(hundred.max, 3),
    })
}

fn boinc_row(cap: u32) -> Value {
    let samples = boinc::samples(cap, LONG.as_secs_f64() * 10.0, SAMPLE.as_secs_f64());
    let [hundred, second] = WINDOWS.map(|(length, _)| spread(&samples, length, cap));
    let windows = errors(&samples, 1.0, cap);
    say(format_args!(
        "BOINC's rule at {cap:>2} %: mean {:.3}; 1 s: mean {:.1} p99 {:.1}; 100 ms: p99 {:.1}",
        mean_error(&samples, cap),
        mean(windows.iter().copied()),
        second.p99,
        hundred.p99
    ));
    json!({
        "cap_percent": cap, "mean_error_points": round(mean_error(&samples, cap), 4),
        "mean_1s_points": round(mean(windows), 3), "spread_1s_points": round(second.p99, 3), "spread_100ms_points": round(hundred.p99, 3),
    })
}

/// How far the whole time is from the cap.
fn mean_error(samples: &Samples, cap: u32) -> f64 {
    match (samples.first(), samples.last()) {
        (Some(first), Some(last)) => (points(*first, *last) - f64::from(cap)).abs(),
        _ => f64::NAN,
    }
}

fn spread(samples: &Samples, length: f64, cap: u32) -> Spread {
    let all = sorted(errors(samples, length, cap));
    Spread { p50: quantile(&all, 0.5), p99: quantile(&all, 0.99), max: quantile(&all, 1.0) }
}

/// How far every window of this length is from the cap; one begins at each sample.
fn errors(samples: &Samples, length: f64, cap: u32) -> Vec<f64> {
    let mut end = 0;
    let mut all = Vec::new();
    for &first in samples {
        while end < samples.len() && samples[end].0 < first.0 + length - SAMPLE.as_secs_f64() / 2.0 {
            end += 1;
        }
        let Some(&last) = samples.get(end) else { break };
        all.push((points(first, last) - f64::from(cap)).abs());
    }
    all
}

/// CPU time between two samples, percent of wall time.
fn points(first: (f64, f64), last: (f64, f64)) -> f64 {
    100.0 * (last.1 - first.1) / (last.0 - first.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_keeps_its_cap_has_no_error_and_a_square_wave_has_a_large_one() {
        let steady: Samples = (0..500).map(|i| (f64::from(i) * 0.01, f64::from(i) * 0.0025)).collect();
        assert!(mean_error(&steady, 25) < 1e-9);
        assert!(spread(&steady, 1.0, 25).max < 1e-9);
        assert!((spread(&steady, 0.1, 35).p50 - 10.0).abs() < 1e-9);
        let wave = boinc::samples(25, 60.0, 0.01);
        assert!(mean_error(&wave, 25) < 2.0, "in the long run it is right");
        assert!(spread(&wave, 1.0, 25).p99 > 70.0, "and in no second is it");
    }

    #[test]
    fn the_endless_module_is_what_it_says() {
        // Sections with their lengths, to the last byte.
        let mut at = 8;
        while at < ENDLESS.len() {
            at += 2 + usize::from(ENDLESS[at + 1]);
        }
        assert_eq!(at, ENDLESS.len());
    }
}
