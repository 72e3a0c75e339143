//! `surge timeline`: what the engine did in the last days, and why, from its database. No engine need run.
//!
//! Every moment is told once: the newest stretches one by one, and the sums of all of them.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::json;
use surge_client::words::Words;
use surge_contributor::timeline::{Interval, notices, read};
use surge_contributor::unix_now_ms;
use surge_platform::paths::Paths;

use crate::failure::Failure;
use crate::say::{json_line, line};

/// Stretches that are shown one by one, unless all are asked for.
const SHOWN: usize = 40;

#[derive(Debug, Args)]
pub(crate) struct TimelineArgs {
    /// How far back, at most 30 days
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=30))]
    days: u64,
    /// Show every stretch, not only the newest
    #[arg(long)]
    all: bool,
}

/// All the time with one state and first reason.
#[derive(Debug, Serialize)]
pub(crate) struct Sum {
    state: String,
    reason: String,
    ms: u64,
    /// Measured.
    cpu_ms: u64,
}

pub(crate) fn timeline(paths: &Paths, args: &TimelineArgs, json: bool) -> Result<ExitCode> {
    let path = paths.store();
    let unusable = |error: &dyn std::error::Error| {
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        Failure::new("store_unusable", format!("{error}{cause}; `surge report` says more of it"))
    };
    let intervals =
        read(&path, args.days, unix_now_ms(), surge_client::answers(paths)).map_err(|error| unusable(&error))?;
    let notices = notices(&path).map_err(|error| unusable(&error))?;
    let sums = sums(&intervals);
    if json {
        let notices: Vec<_> = notices.iter().map(|(at, text)| json!({ "at": at, "text": text })).collect();
        return json_line(&json!({ "intervals": intervals, "sums": sums, "notices": notices }));
    }
    let hidden = if args.all { 0 } else { intervals.len().saturating_sub(SHOWN) };
    if hidden > 0 {
        line(&format!("{hidden} earlier stretches are in the sums below; --all shows them one by one"))?;
    }
    for interval in &intervals[hidden..] {
        line(&told(interval))?;
    }
    let days = if args.days == 1 { "day".to_owned() } else { format!("{} days", args.days) };
    line(&format!("\nThe last {days}:"))?;
    for sum in summed(&sums) {
        line(&sum)?;
    }
    for (at, text) in &notices {
        line(&format!("{}  Note: {text}", local(*at)))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A stretch as a line.
pub(crate) fn told(interval: &Interval) -> String {
    let Interval { since_ms, until_ms, cpu_ms, state, reason } = interval;
    let words = Words::english();
    let said = words.stretch(state, reason);
    let length = until_ms - since_ms;
    let span = words.span(length.div_ceil(1_000));
    format!("{}  {span:<12} {said}{}", local(since_ms / 1_000), worked(*cpu_ms, length))
}

/// The sums as lines, the longest first.
pub(crate) fn summed(sums: &[Sum]) -> Vec<String> {
    let words = Words::english();
    let all: u64 = sums.iter().map(|sum| sum.ms).sum();
    let line = |sum: &Sum| {
        let Sum { state, reason, ms, cpu_ms } = sum;
        let percent = *ms as f64 * 100.0 / all.max(1) as f64;
        let length = words.span(ms.div_ceil(1_000));
        format!("{percent:5.1} %  {length:<12} {}{}", words.stretch(state, reason), worked(*cpu_ms, *ms))
    };
    sums.iter().map(line).collect()
}

/// Measured CPU, and how much of one core that is on average.
fn worked(cpu_ms: u64, ms: u64) -> String {
    if cpu_ms == 0 {
        return String::new();
    }
    let cpu = cpu_ms as f64 / 1e3;
    let cores = cpu_ms as f64 / ms.max(1) as f64;
    match cpu {
        cpu if cpu < 600.0 => format!(", {cpu:.1} CPU s ({cores:.2} cores)"),
        cpu => format!(", {:.1} CPU h ({cores:.2} cores)", cpu / 3_600.0),
    }
}

/// All times by state and reason, the longest first.
pub(crate) fn sums(intervals: &[Interval]) -> Vec<Sum> {
    let mut sums: Vec<Sum> = Vec::new();
    for Interval { since_ms, until_ms, state, reason, cpu_ms } in intervals {
        let at = sums.iter().position(|sum| (&sum.state, &sum.reason) == (state, reason)).unwrap_or_else(|| {
            sums.push(Sum { state: state.clone(), reason: reason.clone(), ms: 0, cpu_ms: 0 });
            sums.len() - 1
        });
        sums[at].ms += until_ms - since_ms;
        sums[at].cpu_ms += cpu_ms;
    }
    sums.sort_by_key(|sum| std::cmp::Reverse(sum.ms));
    sums
}

/// A time of this machine's zone.
pub(crate) fn local(unix: u64) -> String {
    let at = i64::try_from(unix).ok().and_then(|unix| Timestamp::from_second(unix).ok());
    let at = at.unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(TimeZone::system());
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}
