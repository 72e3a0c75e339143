//! `surge why`: all reasons in order, each with its value, limit, setting and remedy.

use std::process::ExitCode;

use anyhow::Result;
use surge_client::ask;
use surge_client::view::Reason;
use surge_client::wire::Request;
use surge_client::words::Words;
use surge_platform::paths::Paths;

use crate::say::{json_line, line, plain};
use crate::state::document;

pub(crate) async fn why(paths: &Paths, json: bool) -> Result<ExitCode> {
    let snapshot = ask(paths, Request::Snapshot).await?.snapshot;
    let words = Words::english();
    if json {
        return json_line(&document(&snapshot)["reasons"]);
    }
    line(&words.headline(&snapshot))?;
    for (number, reason) in snapshot.reasons.iter().enumerate() {
        let about = lines(&words, reason, snapshot.at);
        line(&format!("{}. {}", number + 1, about.join("\n   ")))?;
    }
    for notice in &snapshot.notices {
        line(&format!("-  {}", lines(&words, notice, snapshot.at).join("\n   ")))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The condition; its value against the limit, when that may change, and the setting; what to do.
pub(crate) fn lines(words: &Words, reason: &Reason, now: u64) -> Vec<String> {
    let mut lines = vec![words.detail(reason)];
    let measure = reason.measure.map(|measure| {
        let [value, limit] = words.amounts(measure);
        format!("now {value}, limit {limit}")
    });
    let until =
        reason.until.filter(|until| *until > now).map(|until| format!("may change in {}", words.span(until - now)));
    let setting = reason.setting.as_ref().map(|key| format!("setting {key}"));
    let facts: Vec<_> = [measure, until, setting].into_iter().flatten().collect();
    if !facts.is_empty() {
        lines.push(facts.join("; "));
    }
    lines.push(words.remedy(reason));
    lines.iter().map(|line| plain(line)).collect()
}
