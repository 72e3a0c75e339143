//! `surge why`: all reasons in order, each with its value, limit, setting and remedy.

use std::process::ExitCode;

use anyhow::Result;
use surge_contributor::control::{Request, ask};
use surge_contributor::span;
use surge_contributor::view::{Reason, Unit};
use surge_platform::paths::Paths;

use crate::say::{json_line, line, plain};

pub(crate) async fn why(paths: &Paths, json: bool) -> Result<ExitCode> {
    let snapshot = ask(paths, Request::Snapshot).await?;
    if json {
        return json_line(&snapshot.reasons);
    }
    line(&snapshot.headline)?;
    for (number, reason) in snapshot.reasons.iter().enumerate() {
        let about = lines(reason, snapshot.at);
        line(&format!("{}. {}", number + 1, about.join("\n   ")))?;
    }
    for notice in &snapshot.notices {
        line(&format!("-  {}", lines(notice, snapshot.at).join("\n   ")))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The condition; its value against the limit, when that may change, and the setting; what to do.
pub(crate) fn lines(reason: &Reason, now: u64) -> Vec<String> {
    let mut lines = vec![reason.detail.clone()];
    let measure = reason.measure.map(|it| {
        let unit = match it.unit {
            Unit::Seconds => "s",
            Unit::Percent => "%",
            Unit::Celsius => "°C",
            Unit::Mebibytes => "MiB",
        };
        format!("now {} {unit}, limit {} {unit}", it.value, it.limit)
    });
    let until = reason.until.filter(|until| *until > now).map(|until| format!("may change in {}", span(until - now)));
    let setting = reason.setting.as_ref().map(|key| format!("setting {key}"));
    let facts: Vec<_> = [measure, until, setting].into_iter().flatten().collect();
    if !facts.is_empty() {
        lines.push(facts.join("; "));
    }
    lines.push(reason.remedy.clone());
    lines.iter().map(|line| plain(line)).collect()
}
