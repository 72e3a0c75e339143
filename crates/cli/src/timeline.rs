//! `surge timeline`: what the engine did in the last days, and why, from its database. No engine need run.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;
use surge_contributor::timeline::{Interval, notices, read};
use surge_contributor::{span, unix_now};
use surge_platform::paths::Paths;

use crate::say::{json_line, line};

#[derive(Debug, Args)]
pub(crate) struct TimelineArgs {
    /// How far back, at most 30 days
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=30))]
    days: u64,
}

pub(crate) fn timeline(paths: &Paths, args: &TimelineArgs, json: bool) -> Result<ExitCode> {
    let path = paths.store();
    let intervals = read(&path, args.days, unix_now())?;
    let notices = notices(&path)?;
    if json {
        let notices: Vec<_> = notices.iter().map(|(at, text)| json!({ "at": at, "text": text })).collect();
        return json_line(&json!({ "intervals": intervals, "notices": notices }));
    }
    for interval in &intervals {
        let Interval { since, until, cpu_ms, .. } = interval;
        let cpu = *cpu_ms as f64 / 1e3;
        let worked = if *cpu_ms > 0 { format!("  {cpu:.1} CPU s") } else { String::new() };
        line(&format!("{}  {:<11} {}{worked}", local(*since), span(until - since), what(interval)))?;
    }
    if intervals.is_empty() {
        line("No engine has run yet")?;
    }
    for (what, seconds) in sums(&intervals) {
        line(&format!("In all {}: {what}", span(seconds)))?;
    }
    for (at, text) in &notices {
        line(&format!("{}  Note: {text}", local(*at)))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// State and reason by the names that every other command uses.
fn what(interval: &Interval) -> String {
    match interval.reason.as_str() {
        "" => interval.state.clone(),
        reason => format!("{} ({reason})", interval.state),
    }
}

fn sums(intervals: &[Interval]) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for interval in intervals {
        *sums.entry(what(interval)).or_default() += interval.until - interval.since;
    }
    sums
}

/// A time of this machine's zone.
fn local(unix: u64) -> String {
    let at = i64::try_from(unix).ok().and_then(|unix| Timestamp::from_second(unix).ok());
    let at = at.unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(TimeZone::system());
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}
