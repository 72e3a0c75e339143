//! `sandbox`: the speed of programs in the worker against the same sources compiled for this machine, and against two other engines.
//!
//! Measured from outside: CPU time of a whole process tree, less what the same tree uses for a run in which the
//! kernel returns at once (start and compilation). All contestants take turns in each round.

mod contestants;
mod kernels;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::figures::{geomean, load, median, round, sorted};
use crate::run::{self, cargo, say, target};
use crate::setup;
use contestants::{CONTESTANTS, Contestant};
use kernels::{KERNELS, Kernel};

/// Every contestant runs every kernel so often.
const ROUNDS: usize = 5;

/// What one contestant needed for one kernel.
#[derive(Debug, Clone, Default)]
struct Times {
    /// CPU seconds of whole runs, and of runs that return at once.
    whole: Vec<f64>,
    start: Vec<f64>,
}

impl Times {
    fn guest(&self) -> f64 {
        median(&sorted(self.whole.clone())) - median(&sorted(self.start.clone()))
    }
}

pub(super) fn run() -> Result<Value> {
    setup::node()?;
    let python = setup::for_sandbox_bench()?;
    run::run(&mut cargo(&["build", "--locked", "--release", "-p", "surge-cli", "-p", "surge-runtime"]))?;
    let folder = target().join("bench/sandbox");
    kernels::build(&python, &folder)?;
    let mut times: BTreeMap<(&str, Contestant), Times> = BTreeMap::new();
    let mut wrong = Vec::new();
    let begun = load();
    for round in 0..ROUNDS {
        say(format_args!("sandbox: round {} of {ROUNDS}, load {:.1}", round + 1, load()));
        for kernel in KERNELS {
            wrong.extend(turn(kernel, &python, &folder, &mut times)?);
        }
    }
    wrong.sort_unstable();
    wrong.dedup();
    report(&times, &wrong, (begun, load()))
}

/// One run of every contestant; gives back the kernel's name where they disagree.
fn turn(
    kernel: &'static Kernel,
    python: &Path,
    folder: &Path,
    times: &mut BTreeMap<(&'static str, Contestant), Times>,
) -> Result<Option<&'static str>> {
    let mut sums = Vec::new();
    for contestant in CONTESTANTS {
        let entry = times.entry((kernel.name, contestant)).or_default();
        if entry.start.is_empty() {
            // The first run of a module fills the worker's cache of compiled code.
            contestant.run(kernel.name, 0, python, folder)?;
        }
        entry.start.push(contestant.run(kernel.name, 0, python, folder)?.1);
        let (sum, cpu) = contestant.run(kernel.name, kernel.rounds, python, folder)?;
        entry.whole.push(cpu);
        sums.push(sum);
    }
    ensure!(sums.iter().all(|sum| sum.len() == 16), "{} printed no checksum: {sums:?}", kernel.name);
    let agree = sums.iter().all(|sum| *sum == sums[0]);
    if !agree {
        say(format_args!("{}: the checksums differ: {sums:?}", kernel.name));
    }
    Ok((!agree).then_some(kernel.name))
}

fn report(times: &BTreeMap<(&str, Contestant), Times>, wrong: &[&str], load: (f64, f64)) -> Result<Value> {
    let seconds = |kernel: &Kernel, contestant| times[&(kernel.name, contestant)].guest();
    // Speeds: how long the other takes over how long the worker takes.
    let speed = |kernel: &Kernel, other| seconds(kernel, other) / seconds(kernel, Contestant::Worker);
    let overhead = |kernel: &Kernel| seconds(kernel, Contestant::WorkerFuel) / seconds(kernel, Contestant::Worker);
    let right: Vec<_> = KERNELS.iter().filter(|kernel| !wrong.contains(&kernel.name)).collect();
    ensure!(!right.is_empty(), "the contestants agree on no kernel");
    let all = |other| round(geomean(right.iter().map(|kernel| speed(kernel, other))), 3);
    let rows: Vec<_> = KERNELS
        .iter()
        .map(|kernel| {
            let figure = |value| round(value, 3);
            json!({
                "kernel": kernel.name, "kind": kernel.kind, "agrees": !wrong.contains(&kernel.name),
                "seconds": CONTESTANTS.map(|contestant| (contestant.name(), figure(seconds(kernel, contestant)))).into_iter().collect::<BTreeMap<_, _>>(),
                "vs_native": figure(speed(kernel, Contestant::Clang)),
                "vs_gcc": figure(speed(kernel, Contestant::Gcc)),
                "vs_wasmtime": figure(speed(kernel, Contestant::Wasmtime)),
                "vs_v8": figure(speed(kernel, Contestant::V8)),
                "fuel_overhead": figure(overhead(kernel)),
            })
        })
        .collect();
    let figures = json!({
        "bench": "sandbox", "rounds": ROUNDS, "load": [load.0, load.1], "disagree": wrong,
        "geomean_vs_native": all(Contestant::Clang), "geomean_vs_gcc": all(Contestant::Gcc),
        "geomean_vs_wasmtime": all(Contestant::Wasmtime), "geomean_vs_v8": all(Contestant::V8),
        "fuel_overhead": round(geomean(right.iter().map(|kernel| overhead(kernel))), 3),
        "rows": rows,
    });
    show(&figures);
    Ok(figures)
}

fn show(figures: &Value) {
    say(format_args!(
        "sandbox: speed of surge-worker (meter none) against others, 1 is as fast; fuel is running time, 1 is free"
    ));
    say(format_args!("{:<12}{:>8}{:>8}{:>10}{:>8}{:>8}", "kernel", "clang", "gcc", "wasmtime", "V8", "fuel"));
    let line = |name: &str, keys: [&str; 5], row: &Value| {
        let [a, b, c, d, e] = keys.map(|key| row[key].as_f64().unwrap_or(f64::NAN));
        say(format_args!("{name:<12}{a:>8.2}{b:>8.2}{c:>10.2}{d:>8.2}{e:>8.2}"));
    };
    for row in figures["rows"].as_array().into_iter().flatten() {
        let keys = ["vs_native", "vs_gcc", "vs_wasmtime", "vs_v8", "fuel_overhead"];
        line(row["kernel"].as_str().unwrap_or_default(), keys, row);
    }
    let keys = ["geomean_vs_native", "geomean_vs_gcc", "geomean_vs_wasmtime", "geomean_vs_v8", "fuel_overhead"];
    line("geomean", keys, figures);
}
