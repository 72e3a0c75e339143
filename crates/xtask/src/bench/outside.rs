//! `yield` and `footprint`: what an owner feels. The tests' own measuring program starts a whole network and reads
//! processes from outside; here its readings become figures.

use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::figures::{load, quantile, round, sorted};
use crate::run::{self, cargo, say, target};
use crate::setup;

/// Of each row. QUALITY asks for two hundred at least.
const TRIALS: u32 = 220;

/// The programs that are measured, and the one that measures.
const PROGRAMS: [&str; 4] = ["surge-cli", "surge-coordinator", "surge-runtime", "surge-tests"];

/// Where the owner sits, and what goes on there: a row is one of each.
const SEATS: [&str; 3] = ["x11", "wayland", "service"];
const CONDITIONS: [&str; 4] = ["quiet", "downloads", "spawn", "settings"];

/// Which rows of `yield` are taken, and how long they are.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Rows {
    /// Of `yield`: only rows whose name has this part, such as `x11`, `quiet` or `wayland, spawn`
    #[arg(long, value_name = "PART")]
    only: Option<String>,
    /// Of `yield`: trials of each row
    #[arg(long, default_value_t = TRIALS)]
    trials: u32,
}

impl Rows {
    /// Seat, condition and name of each.
    fn chosen(&self) -> Result<Vec<(&'static str, &'static str, String)>> {
        let all = SEATS.into_iter().flat_map(|seat| CONDITIONS.map(|it| (seat, it, format!("{seat}, {it}"))));
        let fits = |name: &str| self.only.as_ref().is_none_or(|part| name.contains(part.as_str()));
        let chosen: Vec<_> = all.filter(|(_, _, name)| fits(name)).collect();
        anyhow::ensure!(!chosen.is_empty(), "no row is called so; there are {SEATS:?} with {CONDITIONS:?}");
        Ok(chosen)
    }
}

pub(super) fn yielding(chosen: &Rows) -> Result<Value> {
    let wanted = chosen.chosen()?;
    build()?;
    let mut rows = Vec::new();
    for (seat, condition, name) in wanted {
        let before = load();
        let trials = chosen.trials.to_string();
        let found = measure(&["yield", "--seat", seat, "--condition", condition, "--trials", &trials])?;
        rows.push(row(&name, &found, before)?);
    }
    Ok(figures(&rows))
}

/// The figures of a row, and what is said of them.
fn row(name: &str, found: &Value, load_before: f64) -> Result<Value> {
    let mut row = times(&found["surge_ms"]).context("there were no trials")?;
    row["load_before"] = json!(load_before);
    let kept = ["seat", "condition", "workers", "not_all_computed_before", "not_stopped_after", "without_end"];
    for key in kept.iter().chain(&["disk_operations_waiting", "other_programs", "met_a_spawn"]) {
        row[key] = found[key].clone();
    }
    line(name, "surge", &row);
    say(format_args!(
        "{name}: left out: {} events met a worker that did not compute; after {} a worker was silent, but not stopped; \
         {} without an end; {} operations of the disk waited, {} other programs computed, {} trials met a spawn",
        row["not_all_computed_before"],
        row["not_stopped_after"],
        row["without_end"],
        row["disk_operations_waiting"],
        row["other_programs"],
        row["met_a_spawn"]
    ));
    if let Some(mut peer) = times(&found["boinc_ms"]) {
        peer["version"] = found["boinc_version"].clone();
        line(name, "BOINC's client", &peer);
        row["boinc"] = peer;
    } else if name == "x11, quiet" {
        say(format_args!("BOINC's client is not beside it: install boinc-client, libboinc-app-dev and g++"));
    }
    Ok(row)
}

/// The first row's figures are the benchmark's; the worst of all rows is told beside them.
fn figures(rows: &[Value]) -> Value {
    let p99 = rows.iter().filter_map(|row| row["p99_ms"].as_f64());
    let first = &rows[0];
    json!({
        "bench": "yield", "p50_ms": first["p50_ms"], "p99_ms": first["p99_ms"], "max_ms": first["max_ms"],
        "trials": first["trials"], "worst_p99_ms": p99.fold(f64::NAN, f64::max), "rows": rows,
    })
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
    let kept = costs(&found)?;
    // The engine of a service has another process with it: the reporter of the session.
    let service = costs(&measure(&["footprint", "--seat", "service"])?)?;
    let held = kept.iter().find(|row| row["who"] == "surge" && row["state"] == "held").context("it was held")?;
    let cpu = |who: &str, state: &str| -> Value {
        let row = kept.iter().find(|row| row["who"] == who && row["state"] == state);
        row.map_or(Value::Null, |row| row["cpu_percent"].clone())
    };
    let boinc: Vec<_> = kept.iter().filter(|row| row["who"] == "boinc").cloned().collect();
    for state in ["waiting", "working"] {
        say(format_args!("{state}: {} % of a core, BOINC's client {} %", cpu("surge", state), cpu("boinc", state)));
    }
    Ok(json!({
        "waiting_cpu_percent": cpu("surge", "waiting"), "working_cpu_percent": cpu("surge", "working"), "boinc": boinc,
        "bench": "footprint", "pss_mb": held["pss_mb"], "cpu_percent": held["cpu_percent"],
        "wakeups_per_s": held["wakeups_per_s"], "seconds": found["seconds"], "keys_per_second": found["keys_per_second"],
        "load_before": before, "boinc_version": found["boinc_version"], "rows": kept, "service": service,
        "suspended_workers_pss_kib": found["suspended_workers_pss_kib"],
    }))
}

/// What each process used in each state, told as it is read.
fn costs(found: &Value) -> Result<Vec<Value>> {
    let rows = found["rows"].as_array().context("there are rows")?;
    let mut kept = Vec::new();
    for row in rows {
        let number = |key: &str| row[key].as_f64().with_context(|| format!("no {key} in {row}"));
        let row = json!({
            "who": row["who"], "state": row["state"], "pss_mb": round(number("pss_kib")? * 1024.0 / 1e6, 2),
            "cpu_percent": round(number("cpu_percent")?, 4), "wakeups_per_s": round(number("wakeups_per_s")?, 2),
        });
        say(format_args!(
            "{}: {}, {}: {} MB PSS, {} % of a core, {} wake-ups/s",
            found["seat"], row["who"], row["state"], row["pss_mb"], row["cpu_percent"], row["wakeups_per_s"]
        ));
        kept.push(row);
    }
    Ok(kept)
}

fn build() -> Result<()> {
    setup::for_contracts()?;
    setup::packages(&[("the display of the bench", &["xvfb"])])?;
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

    #[test]
    fn the_worst_row_is_told_beside_the_first() {
        let row = |p99: f64| json!({ "p50_ms": 1.0, "p99_ms": p99, "max_ms": 9.0, "trials": 200 });
        let figures = figures(&[row(4.5), row(31.0), row(7.0)]);
        assert_eq!((figures["p99_ms"].as_f64(), figures["worst_p99_ms"].as_f64()), (Some(4.5), Some(31.0)));
        assert_eq!((&figures["trials"], figures["rows"].as_array().map(Vec::len)), (&json!(200), Some(3)));
    }

    #[test]
    fn rows_are_chosen_by_a_part_of_their_name() {
        let names = |only: &str| {
            let rows = Rows { only: Some(only.into()), trials: 1 }.chosen();
            rows.map(|rows| rows.into_iter().map(|row| row.2).collect::<Vec<_>>()).unwrap_or_default()
        };
        assert_eq!(names("spawn"), ["x11, spawn", "wayland, spawn", "service, spawn"]);
        assert_eq!(names("wayland, quiet"), ["wayland, quiet"]);
        assert!(names("windows").is_empty());
        assert_eq!(Rows::default().chosen().map(|rows| rows.len()).unwrap_or(0), 12);
    }
}
