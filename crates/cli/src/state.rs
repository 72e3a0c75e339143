//! `surge status`: the engine's state as lines for people.
//!
//! Deliberately absent: any figure that was not measured or decided by the engine itself.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::{Value, json};
use surge_client::ask;
use surge_client::view::{MachineView, Reason, Snapshot, WorkerView};
use surge_client::wire::Request;
use surge_client::words::Words;
use surge_platform::paths::Paths;

use crate::say::{json_line, line, plain};
use crate::{skew, why};

pub(crate) async fn status(paths: &Paths, json: bool) -> Result<ExitCode> {
    let engine = ask(paths, Request::Snapshot).await?;
    if json {
        json_line(&document(&engine.snapshot))?;
    } else {
        for text in lines(&engine.snapshot, engine.snapshot.at) {
            line(&text)?;
        }
    }
    skew::tell(&engine.hello, json)?;
    Ok(ExitCode::SUCCESS)
}

/// The state for programs: the engine's codes and values, with the words for them beside.
pub(crate) fn document(snapshot: &Snapshot) -> Value {
    let words = Words::english();
    let mut document = json!(snapshot);
    document["headline"] = words.headline(snapshot).into();
    document["reasons"] = snapshot.reasons.iter().map(|reason| told(&words, reason)).collect();
    document["notices"] = snapshot.notices.iter().map(|notice| told(&words, notice)).collect();
    document
}

/// A reason with the words for it.
fn told(words: &Words, reason: &Reason) -> Value {
    let mut document = json!(reason);
    document["detail"] = words.detail(reason).into();
    document["remedy"] = words.remedy(reason).into();
    document
}

/// The state as of `now`, unix seconds, which counts down what may change.
pub(crate) fn lines(snapshot: &Snapshot, now: u64) -> Vec<String> {
    let words = Words::english();
    let mut lines = vec![words.headline(snapshot)];
    let mut told = |what: &str, text: String| lines.push(format!("{what:<9} {text}"));
    for (number, reason) in snapshot.reasons.iter().enumerate() {
        let about = why::lines(&words, reason, now);
        told(if number == 0 { "Why" } else { "and" }, about[..about.len() - 1].join("; "));
    }
    let machine = &snapshot.machine;
    told("Load", load(snapshot));
    for worker in &snapshot.workers {
        told("Task", task(worker));
    }
    told("Others", others(machine));
    told("Heat", heat(machine));
    told("Power", power(machine));
    for network in &snapshot.networks {
        let earnings = &network.earnings;
        told("Network", network.name.clone());
        told("Tasks", format!("{} accepted, {} rejected", earnings.tasks_accepted, earnings.tasks_rejected));
        told("Today", format!("{} tokens earned", earnings.today));
        match network.undelivered {
            0 => {}
            1 => told("Waiting", "1 finished result to deliver".to_owned()),
            many => told("Waiting", format!("{many} finished results to deliver")),
        }
        told("Payout", network.payout.clone().unwrap_or_else(|| "none".into()));
    }
    if snapshot.networks.is_empty() {
        told("Network", "none".to_owned());
    }
    for network in &snapshot.unattached {
        told("Waiting", words.unattached(network));
    }
    for notice in &snapshot.notices {
        told("Note", format!("{}\n{}", words.detail(notice), words.remedy(notice)));
    }
    // Some details have lines of their own.
    lines.iter().flat_map(|line| plain(line).lines().enumerate().map(indented).collect::<Vec<_>>()).collect()
}

fn indented((number, line): (usize, &str)) -> String {
    if number == 0 { line.to_owned() } else { format!("{:<9} {}", "", line.trim_start()) }
}

fn load(snapshot: &Snapshot) -> String {
    let active = snapshot.workers.iter().filter(|worker| worker.share > 0.0).count();
    format!(
        "{:.0} % of this computer, measured; {active} of at most {} tasks run",
        snapshot.load_percent, snapshot.max_workers
    )
}

fn task(worker: &WorkerView) -> String {
    let state = if worker.share > 0.0 { "running" } else { "held" };
    let cpu = worker.cpu_ms as f64 / 1_000.0;
    format!("{} #{}, {state}, {cpu:.1} CPU s, pid {}", worker.job_name, worker.index, worker.pid)
}

fn others(machine: &MachineView) -> String {
    let limit = match machine.other_load_limit_percent {
        Some(limit) => format!("work stops above {limit:.0} %"),
        None => "no limit".to_owned(),
    };
    match machine.other_load_percent {
        Some(percent) => format!("{percent:.0} % of this computer; {limit}"),
        None => format!("not read yet; {limit}"),
    }
}

fn heat(machine: &MachineView) -> String {
    let MachineView { target_celsius, stop_celsius, .. } = machine;
    match machine.celsius {
        Some(celsius) => format!("{celsius:.0} °C; kept at {target_celsius:.0} °C, work stops at {stop_celsius:.0} °C"),
        None => "no sensor tells it".to_owned(),
    }
}

fn power(machine: &MachineView) -> String {
    match (machine.power.as_str(), machine.battery_percent) {
        ("battery", Some(percent)) => format!("battery, {percent} %"),
        ("unknown", _) => "can't be read; counts as battery".to_owned(),
        (power, _) => power.to_owned(),
    }
}
