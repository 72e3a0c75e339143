//! `start`: how long a task waits for its first instruction, the worker's process included.
//!
//! Measured from outside: the time from before `surge task run` is spawned until its result, for a module whose first
//! instructions write one byte and return. Compile speed comes from a sample job: its module's size over the time that
//! it takes longer than the tiny one when it gets an input of one line and neither was seen before.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::figures::{load, median, quantile, round, sorted};
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
    let large = root().join("jobs/mersenne.wasm");
    let size = std::fs::metadata(&large)?.len() as f64 / 1e6;
    let input = folder.join("exponent.txt");
    std::fs::write(&input, "3\n")?;
    let once = |module: &Path| once(&surge, module, &input);
    once(&tiny)?;
    let begun = load();
    let [mut warm, mut cold, mut fresh, mut compile] = [const { Vec::new() }; 4];
    for run in 0..RUNS {
        warm.push(once(&tiny)?);
        fresh.push(once(&never_seen(&tiny, run, &folder)?)?);
        compile.push(once(&never_seen(&large, run, &folder)?)?);
        forget(&[&surge, &worker, &tiny])?;
        cold.push(once(&tiny)?);
    }
    let [warm, cold, fresh, compile] = [warm, cold, fresh, compile].map(sorted);
    let longer = (median(&compile) - median(&fresh)) / 1_000.0;
    let figures = json!({
        "bench": "start", "runs": RUNS, "load": [begun, load()],
        "what": "spawn of `surge task run` to its end, for a module that writes one byte: both processes, result included",
        "warm_ms_p50": round(median(&warm), 2), "warm_ms_p99": round(quantile(&warm, 0.99), 2),
        "cold_ms_p50": round(median(&cold), 2), "cold_ms_p99": round(quantile(&cold, 0.99), 2),
        "fresh_ms_p50": round(median(&fresh), 2), "fresh_ms_p99": round(quantile(&fresh, 0.99), 2),
        "compile_mb_s": round(size / longer, 2), "compile_module": "jobs/mersenne.wasm", "compile_module_mb": size,
    });
    say(format_args!(
        "start, {RUNS} runs each: `surge task run` from its spawn to its end, the worker's process included"
    ));
    for (name, times, what) in [
        ("warm", &warm, "compiled before"),
        ("fresh", &fresh, "a module never seen: checked and compiled, and the code kept"),
        ("cold", &cold, "programs and module not in the page cache"),
    ] {
        say(format_args!("  {name:<6} p50 {:.1} ms, p99 {:.1} ms ({what})", median(times), quantile(times, 0.99)));
    }
    say(format_args!(
        "  compile {:.1} MB/s over {size:.2} MB (jobs/mersenne.wasm, less the tiny module's time)",
        size / longer
    ));
    Ok(figures)
}

/// A copy of a module with a custom section of its own, so that no code of it is kept.
fn never_seen(module: &Path, run: usize, folder: &Path) -> Result<PathBuf> {
    let mut bytes = std::fs::read(module)?;
    let mut note = b"\x05bench".to_vec();
    note.extend_from_slice(&SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos().to_le_bytes());
    note.extend_from_slice(&run.to_le_bytes());
    bytes.push(0);
    bytes.push(u8::try_from(note.len()).context("a short note")?);
    bytes.extend_from_slice(&note);
    let copy = folder.join("never-seen.wasm");
    std::fs::write(&copy, bytes)?;
    Ok(copy)
}

fn once(surge: &Path, module: &Path, input: &Path) -> Result<f64> {
    let begun = Instant::now();
    let done = Command::new(surge)
        .args(["task", "run"])
        .arg(module)
        .arg("--stdin")
        .arg(input)
        .stdin(Stdio::null())
        .output()?;
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
