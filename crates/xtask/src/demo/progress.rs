//! Live progress: tasks, load and earnings, one line that renews itself on a terminal and a line now and then elsewhere.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::Value;

use super::outside::Outside;
use super::person::Person;
use super::plan::{Plan, Progress};
use super::stage::Stage;
use super::statement::tokens;
use crate::run::step;

/// Longer than the slowest machine we know, many times.
const PATIENCE: Duration = Duration::from_secs(1_800);
/// Between two lines where nothing can renew itself.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Shows progress until every task of every plan has its verdict.
pub(crate) fn watch(stage: &mut Stage, outside: &Outside, plans: &[Plan], contributors: &[Person]) -> Result<()> {
    step("work");
    let terminal = std::io::stderr().is_terminal();
    let mut shown: Option<Instant> = None;
    stage.wait_for("the jobs' end", PATIENCE, || {
        let jobs = plans.iter().map(|plan| plan.progress(outside)).collect::<Result<Vec<_>>>()?;
        let done = jobs.iter().all(|job| job.done);
        let due = shown.is_none_or(|at| at.elapsed() >= LINE_EVERY);
        if terminal || due || done {
            shown = Some(Instant::now());
            print(terminal, &line(&jobs, contributors));
        }
        Ok(done.then_some(()))
    })?;
    if terminal {
        let _ = writeln!(std::io::stderr());
    }
    Ok(())
}

fn line(jobs: &[Progress], contributors: &[Person]) -> String {
    let tasks: Vec<_> = jobs.iter().map(|job| format!("{} {}/{}", job.name, job.validated, job.tasks)).collect();
    let people: Vec<_> = contributors.iter().map(state).collect();
    format!("{} | {}", tasks.join("  "), people.join("  "))
}

/// A contributor by the answer of `surge status`: its load and what it earned.
fn state(person: &Person) -> String {
    let Ok(status) = person.ask(&["status"]) else { return format!("{} starts", person.name) };
    let load = status["load_percent"].as_f64().unwrap_or_default();
    let earned: u128 = ["validated", "settled"].iter().map(|key| base(&status["networks"][0]["earnings"][key])).sum();
    format!("{} {load:.0} % {} SURGE", person.name, tokens(earned))
}

fn base(amount: &Value) -> u128 {
    amount.as_str().and_then(|text| text.parse().ok()).unwrap_or_default()
}

fn print(terminal: bool, text: &str) {
    let mut out = std::io::stderr();
    // Nobody listening is no reason to stop.
    let _ = if terminal { write!(out, "\r\x1b[2K{text}").and_then(|()| out.flush()) } else { writeln!(out, "{text}") };
}
