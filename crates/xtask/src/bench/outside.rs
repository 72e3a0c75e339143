//! `yield` and `footprint`: what an owner feels. The tests' own measuring program starts a whole network and reads
//! processes from outside; here its readings become figures.

use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::figures::{load, quantile, round, sorted};
use crate::run::{self, cargo, say, target};
use crate::setup;

/// Of each seat. QUALITY asks for two hundred at least.
const TRIALS: &str = "220";

/// The programs that are measured, and the one that measures.
const PROGRAMS: [&str; 4] = ["surge-cli", "surge-coordinator", "surge-runtime", "surge-tests"];

const SEATS: [&str; 2] = ["x11", "wayland"];

pub(super) fn yielding() -> Result<Value> {
    build()?;
    let mut rows = Vec::new();
    for seat in SEATS {
        let before = load();
        let found = measure(&["yield", "--seat", seat, "--trials", TRIALS])?;
        let mut row = times(&found["surge_ms"]).context("there were no trials")?;
        row["seat"] = json!(seat);
        row["load_before"] = json!(before);
        for key in ["workers", "not_all_computed_before", "not_stopped_after"] {
            row[key] = found[key].clone();
        }
        line(seat, "surge", &row);
        say(format_args!(
            "{seat}: left out: {} events met a worker that did not compute; after {} a worker was silent, but not stopped",
            row["not_all_computed_before"], row["not_stopped_after"]
        ));
        match times(&found["boinc_ms"]) {
            Some(mut peer) => {
                peer["version"] = found["boinc_version"].clone();
                line(seat, "BOINC's client", &peer);
                row["boinc"] = peer;
            }
            None if seat == "x11" => {
                say(format_args!("BOINC's client is not beside it: install boinc-client, libboinc-app-dev and g++"));
            }
            None => {}
        }
        rows.push(row);
    }
    let first = &rows[0];
    Ok(json!({
        "bench": "yield", "p50_ms": first["p50_ms"], "p99_ms": first["p99_ms"], "max_ms": first["max_ms"],
        "trials": first["trials"], "rows": rows,
    }))
}

/// `None` without any.
fn times(all: &Value) -> Option<Value> {
    let all: Vec<f64> = all.as_array()?.iter().filter_map(Value::as_f64).collect();
    if all.is_empty() {
        return None;
    }
    let all = sorted(all);
    let at = |q| round(quantile(&all, q), 2);
    Some(json!({
        "min_ms": at(0.0), "p50_ms": at(0.5), "p95_ms": at(0.95), "p99_ms": at(0.99), "max_ms": at(1.0), "trials": all.len(),
    }))
}

fn line(seat: &str, who: &str, row: &Value) {
    say(format_args!(
        "{seat}: {who}: last tick of work after the first input: p50 {} ms, p95 {}, p99 {}, max {} ({} trials)",
        row["p50_ms"], row["p95_ms"], row["p99_ms"], row["max_ms"], row["trials"]
    ));
}

pub(super) fn footprint() -> Result<Value> {
    build()?;
    let before = load();
    let found = measure(&["footprint"])?;
    let rows = found["rows"].as_array().context("there are rows")?;
    let mut kept = Vec::new();
    for row in rows {
        let number = |key: &str| row[key].as_f64().with_context(|| format!("no {key} in {row}"));
        let row = json!({
            "who": row["who"], "state": row["state"], "pss_mb": round(number("pss_kib")? * 1024.0 / 1e6, 2),
            "cpu_percent": round(number("cpu_percent")?, 4), "wakeups_per_s": round(number("wakeups_per_s")?, 2),
        });
        say(format_args!(
            "{}, {}: {} MB PSS, {} % of a core, {} wake-ups/s",
            row["who"], row["state"], row["pss_mb"], row["cpu_percent"], row["wakeups_per_s"]
        ));
        kept.push(row);
    }
    let held = kept.iter().find(|row| row["who"] == "surge" && row["state"] == "held").context("it was held")?;
    Ok(json!({
        "bench": "footprint", "pss_mb": held["pss_mb"], "cpu_percent": held["cpu_percent"],
        "wakeups_per_s": held["wakeups_per_s"], "seconds": found["seconds"], "keys_per_second": found["keys_per_second"],
        "load_before": before, "boinc_version": found["boinc_version"], "rows": kept,
        "suspended_workers_pss_kib": found["suspended_workers_pss_kib"],
    }))
}

fn build() -> Result<()> {
    setup::for_contracts()?;
    setup::packages("the display of the bench", &["xvfb"])?;
    let packages = PROGRAMS.iter().flat_map(|package| ["-p", package]);
    run::run(cargo(&["build", "--release", "--locked", "--bins"]).args(packages))
}

fn measure(args: &[&str]) -> Result<Value> {
    let mut command = Command::new(target().join("release/bench"));
    command.args(args).stderr(std::process::Stdio::inherit());
    let done = command.output().context("the measuring program can't be started")?;
    anyhow::ensure!(done.status.success(), "{args:?} ended with {}", done.status);
    serde_json::from_slice(&done.stdout).context("it prints JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_quantiles_and_none_without_trials() {
        let times = times(&json!([4.0, 1.0, 2.0, 3.0, 100.0])).expect("there are some");
        assert_eq!((times["p50_ms"].as_f64(), times["max_ms"].as_f64()), (Some(3.0), Some(100.0)));
        assert_eq!(times["trials"], 5);
        assert!(super::times(&json!([])).is_none());
    }
}
