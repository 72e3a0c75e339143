//! `start`: how long a task waits for its first instruction, the worker's process included.
//!
//! Measured from outside: the time from before `surge task run` is spawned until its result, for a module whose first
//! instructions write one byte and return. Compile speed comes from the sample jobs: their modules' size
//! over the time that they take longer than the tiny one when they get an empty input.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::run::{self, cargo, root, say, target};

const RUNS: usize = 40;

/// A module that writes `x` to standard output and returns.
const TINY: &[u8] = include_bytes!("tiny.wasm");

pub(crate) fn run() -> Result<Value> {
    run::run(&mut cargo(&["build", "--locked", "--release", "-p", "surge-cli", "-p", "surge-runtime"]))?;
    let surge = target().join("release/surge");
    let worker = target().join("release/surge-worker");
    let folder = target().join("bench");
    std::fs::create_dir_all(&folder)?;
    let tiny = folder.join("tiny.wasm");
    std::fs::write(&tiny, TINY)?;
    let cold = times(|| {
        forget(&[&surge, &worker, &tiny])?;
        once(&surge, &tiny)
    })?;
    let warm = times(|| once(&surge, &tiny))?;
    let large = root().join("jobs/mersenne.wasm");
    let compile = times(|| once(&surge, &large))?;
    let size = std::fs::metadata(&large)?.len() as f64 / 1e6;
    let longer = (median(&compile) - median(&warm)) / 1_000.0;
    let figures = json!({
        "bench": "start",
        "runs": RUNS,
        "what": "spawn of `surge task run` to its end, for a module that writes one byte; no compiled code is cached yet",
        "warm_ms_p50": round(median(&warm)), "warm_ms_p99": round(quantile(&warm, 0.99)),
        "cold_ms_p50": round(median(&cold)), "cold_ms_p99": round(quantile(&cold, 0.99)),
        "compile_mb_s": round(size / longer), "compile_module": "jobs/mersenne.wasm", "compile_module_mb": size,
    });
    say(format_args!("start, {RUNS} runs each, whole process: `surge task run`, worker spawn, compile, run, exit"));
    say(format_args!("  warm  p50 {:.1} ms, p99 {:.1} ms", median(&warm), quantile(&warm, 0.99)));
    say(format_args!(
        "  cold  p50 {:.1} ms, p99 {:.1} ms (programs and module not in the page cache)",
        median(&cold),
        quantile(&cold, 0.99)
    ));
    say(format_args!(
        "  compile {:.1} MB/s over {:.2} MB (jobs/mersenne.wasm, less the tiny module's time)",
        size / longer,
        size
    ));
    Ok(figures)
}

/// Sorted times of all runs, milliseconds.
fn times(mut run: impl FnMut() -> Result<f64>) -> Result<Vec<f64>> {
    let mut all = (0..RUNS).map(|_| run()).collect::<Result<Vec<_>>>()?;
    all.sort_by(f64::total_cmp);
    Ok(all)
}

fn once(surge: &Path, module: &Path) -> Result<f64> {
    let begun = Instant::now();
    let done = Command::new(surge).args(["task", "run"]).arg(module).stdin(Stdio::null()).output()?;
    let elapsed = begun.elapsed().as_secs_f64() * 1_000.0;
    ensure!(done.status.success(), "{}: {}", module.display(), String::from_utf8_lossy(&done.stderr));
    Ok(elapsed)
}

/// Drops files from the page cache.
fn forget(files: &[&PathBuf]) -> Result<()> {
    for file in files {
        let file = std::fs::File::open(file)?;
        file.sync_all()?;
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
    }
    Ok(())
}

fn median(sorted: &[f64]) -> f64 {
    quantile(sorted, 0.5)
}

fn quantile(sorted: &[f64], q: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * q).round() as usize]
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
