//! The parts of a report. Each reads one thing, and what it can't read it says.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use surge_client::Engine;
use surge_client::wire::Request;
use surge_client::words::Words;
use surge_contributor::health::{Health, health};
use surge_contributor::settings::{Machine, Settings, shown};
use surge_contributor::{crash, log, read_network, timeline, unix_now_ms};
use surge_platform::paths::Paths;

use super::private;
use crate::redact::Private;
use crate::say::counted;
use crate::timeline::{local, summed, sums, told};
use crate::version::VERSION;
use crate::{failure, skew, state, why};

/// The newest stretches of the timeline and lines of the log that are taken.
const STRETCHES: usize = 60;
const LOG_LINES: usize = 200;
const TIMELINE_DAYS: u64 = 7;
/// How long an engine that does not answer is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// All parts, and what is private in them.
pub(super) async fn all(paths: &Paths) -> (String, Private) {
    let settings = Settings::load(&paths.settings());
    let asked = tokio::time::timeout(PATIENCE, surge_client::ask(paths, Request::Snapshot)).await;
    let running = asked.map_err(|_| anyhow::anyhow!("the engine does not answer")).and_then(|told| Ok(told?));
    let mut text = String::new();
    let mut part = |title: &str, lines: Result<Vec<String>>| {
        let lines = lines.unwrap_or_else(|error| vec![format!("could not be read: {}", failure::told(&error))]);
        let lines =
            lines.iter().flat_map(|line| line.lines()).fold(String::new(), |all, line| all + "  " + line + "\n");
        write!(text, "\n== {title}\n{lines}").expect("writing to a string can't fail");
    };
    part("Program", Ok(program()));
    part("Computer", Ok(computer()));
    part("Settings", settings.map_err(Into::into).and_then(|settings| listed(paths, &settings)));
    part("Network", network(paths));
    let seen = running.as_ref().ok().map(|running| running.snapshot.clone());
    part("Engine now", running.map(|running| engine(&running)));
    part("Timeline", stretches(paths, seen.is_some()));
    part("Notices", notices(paths));
    part("Store", store(paths));
    part("Disk", disk(paths));
    part("Last crash", last_crash(paths));
    part("Log", last_log(paths));
    let private = private::gather(paths, seen.as_ref(), &text);
    (text, private)
}

fn program() -> Vec<String> {
    let worker = surge_supervisor::find_worker().map_err(|error| error.to_string());
    let class = worker.and_then(|worker| surge_supervisor::runtime_class(&worker).map_err(|error| error.to_string()));
    vec![
        format!("surge {VERSION}"),
        format!("worker's runtime class: {}", class.unwrap_or_else(|error| format!("unknown: {error}"))),
    ]
}

fn computer() -> Vec<String> {
    let file = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let value = |text: &str, key: &str, between: char| {
        let line = text.lines().find_map(|line| line.split_once(between).filter(|(name, _)| name.trim() == key));
        line.map_or_else(|| "unknown".to_owned(), |(_, value)| value.trim().trim_matches('"').to_owned())
    };
    let machine = Machine::here();
    vec![
        format!("system: {} on {}", value(&file("/etc/os-release"), "PRETTY_NAME", '='), std::env::consts::ARCH),
        format!("kernel: {}", file("/proc/sys/kernel/osrelease").trim()),
        format!("processor: {}, {} cores", value(&file("/proc/cpuinfo"), "model name", ':'), machine.cores),
        format!("memory: {} MiB", machine.memory_bytes >> 20),
        format!("kind: {}", if machine.portable { "laptop or the like" } else { "not a laptop" }),
        format!("security modules: {}", file("/sys/kernel/security/lsm").trim()),
        format!("desktop: {}", variables(&["XDG_SESSION_TYPE", "XDG_CURRENT_DESKTOP"])),
        format!("network environment: {}", variables(&PROXIES)),
    ]
}

const PROXIES: [&str; 6] = ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"];

/// Variables that are set, in any case.
fn variables(names: &[&str]) -> String {
    let all: Vec<_> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let mut set = Vec::new();
    for wanted in names {
        let called = all.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
        set.extend(called.map(|(name, value)| variable(name, value)));
    }
    if set.is_empty() { "nothing is set".to_owned() } else { set.join(" ") }
}

/// A variable as it may be told. A proxy's login needs no scheme before it, by which it would be known as one later.
fn variable(name: &str, value: &str) -> String {
    let proxy = name.to_ascii_uppercase().ends_with("_PROXY");
    match value.rsplit_once('@').filter(|_| proxy) {
        Some((_, host)) => format!("{name}={host} (a login was there)"),
        None => format!("{name}={value}"),
    }
}

/// Every setting as it counts, and where it comes from. What was said for one run is in the log of that run.
fn listed(paths: &Paths, settings: &Settings) -> Result<Vec<String>> {
    let file = paths.settings();
    let text = if file.exists() { std::fs::read_to_string(&file)? } else { String::new() };
    let table: toml::Table = text.parse().context("the settings file is no TOML")?;
    let line = |key: &str, toml: &str| {
        let source = if table.contains_key(key) { "file" } else { "default" };
        format!("{key} = {toml}  ({source})")
    };
    let from = if file.exists() { format!("file: {}", file.display()) } else { "there is no settings file".to_owned() };
    Ok(std::iter::once(from).chain(shown(settings).iter().map(|(key, shown)| line(key, &shown.toml))).collect())
}

fn network(paths: &Paths) -> Result<Vec<String>> {
    let network = read_network(&paths.network())?;
    let through = |url: &String| match surge_contributor::http::proxy_for(url) {
        Some(proxy) => format!("coordinator: {url} through the proxy {proxy}"),
        None => format!("coordinator: {url}"),
    };
    let mut lines = vec![format!("{}, chain {}", network.name, network.chain_id)];
    lines.extend(network.coordinators.iter().map(through));
    lines.extend(network.rpc.iter().map(|url| format!("chain's node: {url}")));
    lines.push(format!("payout binding: {}", if paths.payout().exists() { "there" } else { "none" }));
    Ok(lines)
}

fn engine(running: &Engine) -> Vec<String> {
    let Engine { hello, snapshot } = running;
    let mut lines = vec![format!("version {}", snapshot.version)];
    lines.extend(skew::sentence(hello));
    lines.extend(state::lines(snapshot, snapshot.at));
    for reason in &snapshot.reasons {
        lines.push(format!(
            "{}: {}",
            code(&reason.code),
            why::lines(&Words::english(), reason, snapshot.at).join("; ")
        ));
    }
    let presence = &snapshot.presence;
    let idle = presence.idle_seconds.map_or_else(|| "unknown".to_owned(), |idle| format!("{idle} s"));
    lines.push(format!("idle: {idle} by {}, counts after {} s", presence.source, presence.idle_after_seconds));
    let sensors: Vec<_> =
        snapshot.machine.sensors.iter().map(|sensor| format!("{}={}", sensor.reading, sensor.source)).collect();
    lines.push(format!("sensors: {}", sensors.join(", ")));
    lines.push(format!("CPU of all workers since the start: {:.1} s", snapshot.worked_ms as f64 / 1e3));
    lines
}

fn code(code: &impl serde::Serialize) -> String {
    serde_json::to_value(code).ok().and_then(|code| Some(code.as_str()?.to_owned())).unwrap_or_default()
}

fn stretches(paths: &Paths, running: bool) -> Result<Vec<String>> {
    let intervals = timeline::read(&paths.store(), TIMELINE_DAYS, unix_now_ms(), running)?;
    let mut lines = vec![format!("the last {TIMELINE_DAYS} days:")];
    lines.extend(summed(&sums(&intervals)));
    lines.push(format!("the last {STRETCHES} stretches of them:"));
    lines.extend(intervals[intervals.len().saturating_sub(STRETCHES)..].iter().map(told));
    Ok(lines)
}

fn notices(paths: &Paths) -> Result<Vec<String>> {
    let notices = timeline::notices(&paths.store())?;
    let lines: Vec<_> = notices.iter().rev().take(20).map(|(at, text)| format!("{}  {text}", local(*at))).collect();
    Ok(if lines.is_empty() { vec!["none".to_owned()] } else { lines })
}

fn store(paths: &Paths) -> Result<Vec<String>> {
    let Some(Health { integrity, version, counts }) = health(&paths.store())? else {
        return Ok(vec!["there is no database yet".to_owned()]);
    };
    let mut lines = vec![format!("integrity: {}; version {version}", integrity.join("; "))];
    lines.extend(counts.iter().map(|(what, count)| format!("{what}: {count}")));
    Ok(lines)
}

fn disk(paths: &Paths) -> Result<Vec<String>> {
    // The home's own file system, or the one it would be on.
    let there = paths.home.ancestors().find(|folder| folder.exists()).context("there is no folder")?;
    let disk = rustix::fs::statvfs(there)?;
    let mut lines = vec![format!(
        "free: {} MiB of {} MiB",
        (disk.f_bavail * disk.f_frsize) >> 20,
        (disk.f_blocks * disk.f_frsize) >> 20
    )];
    let folders = [paths.blobs(), paths.outputs(), paths.checkpoints(), paths.code()];
    for path in folders.iter().chain([&paths.store(), &paths.log()]) {
        let (files, bytes) = taken(path);
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        lines.push(format!("{name}: {}, {} KiB", counted(files, "file"), bytes.div_ceil(1024)));
    }
    Ok(lines)
}

/// Files and bytes below `path`; what can't be read counts nothing.
fn taken(path: &Path) -> (u64, u64) {
    let Ok(told) = std::fs::symlink_metadata(path) else { return (0, 0) };
    if !told.is_dir() {
        return (1, told.len());
    }
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| taken(&entry.path())).fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1))
}

fn last_crash(paths: &Paths) -> Result<Vec<String>> {
    Ok(vec![crash::last(&paths.crash())?.unwrap_or_else(|| "none is known".to_owned())])
}

fn last_log(paths: &Paths) -> Result<Vec<String>> {
    let lines = log::last_lines(&paths.log(), LOG_LINES)?;
    Ok(if lines.is_empty() {
        vec!["there is none yet: `surge run` and the desktop app write it".to_owned()]
    } else {
        lines
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::variable;

    #[test]
    fn only_a_proxy_has_a_login() {
        assert_eq!(variable("all_proxy", "socks5://proxy.corp:1080"), "all_proxy=socks5://proxy.corp:1080");
        assert_eq!(variable("SSL_CERT_DIR", "/etc/certs@2"), "SSL_CERT_DIR=/etc/certs@2");
    }

    proptest! {
        #[test]
        fn no_login_of_a_proxy_is_told(
            name in "([hH][tT][tT][pP][sS]?|[aA][lL][lL]|[nN][oO])_[pP][rR][oO][xX][yY]",
            scheme in prop::sample::select(&["", "http://", "socks5h://"][..]),
            login in "[a-z]{3,8}:[ -~äß€\n]{0,20}",
        ) {
            let told = variable(&name, &format!("{scheme}{login}@proxy.corp:3128"));
            prop_assert_eq!(told, format!("{name}=proxy.corp:3128 (a login was there)"));
        }
    }
}
