//! `surge why`: all reasons in order, each with its value, limit, setting and remedy.

use std::process::ExitCode;

use anyhow::Result;
use surge_client::view::{Reason, Snapshot};
use surge_client::wire::Request;
use surge_client::words::Words;
use surge_client::{Engine, ask};
use surge_platform::paths::Paths;

use crate::say::{json_line, line, plain};
use crate::skew;
use crate::state::document;

pub(crate) async fn why(paths: &Paths, json: bool) -> Result<ExitCode> {
    let Engine { hello, snapshot } = ask(paths, Request::Snapshot).await?;
    if json {
        json_line(&document(&snapshot)["reasons"])?;
    } else {
        told(&snapshot)?;
    }
    skew::tell(&hello, json)?;
    Ok(ExitCode::SUCCESS)
}

fn told(snapshot: &Snapshot) -> Result<()> {
    let words = Words::english();
    line(&words.headline(snapshot))?;
    for (number, reason) in snapshot.reasons.iter().enumerate() {
        let about = lines(&words, reason, snapshot.at);
        line(&format!("{}. {}", number + 1, about.join("\n   ")))?;
    }
    for notice in &snapshot.notices {
        line(&format!("-  {}", lines(&words, notice, snapshot.at).join("\n   ")))?;
    }
    Ok(())
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
