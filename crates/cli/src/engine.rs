//! `surge run`, `status`, `why`, `pause`, `resume`: the engine without a window, and the questions to whichever shell
//! hosts it.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, ValueEnum};
use surge_contributor::control::{Request, ask};
use surge_contributor::settings::Change;
use surge_contributor::view::{Command, Reason, Snapshot, Unit};
use surge_contributor::{Config, span};
use surge_platform::paths::Paths;
use tokio::signal::unix::{SignalKind, signal};

use crate::say::{json_line, line};

/// What may be set for one run, over the settings file.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// How to tell whether somebody is here
    #[arg(long, value_enum)]
    presence: Option<PresenceArg>,
    /// Time without input after which work may start: 90s, 3m
    #[arg(long, value_parser = crate::duration::parse, value_name = "DURATION")]
    idle_after: Option<u64>,
    /// Tasks that may run at once
    #[arg(long)]
    workers: Option<u32>,
    /// Lets another engine run on this machine, for test beds
    #[arg(long)]
    share_machine: bool,
    /// CPU milliseconds between two checkpoints of a task, for test beds
    #[arg(long, value_name = "MS", hide = true)]
    checkpoint_ms: Option<u64>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PresenceArg {
    /// Ask the session
    Auto,
    /// Nobody sits at this machine
    Headless,
}

pub(crate) async fn run(paths: &Paths, args: &RunArgs) -> Result<ExitCode> {
    let mut config = Config::load(paths)?;
    apply(args, &mut config)?;
    tracing::info!(
        home = %paths.home.display(), network = %config.network.name, node = %config.device.address(),
        payout = %config.payout.payout, settings = ?config.settings, "Starting"
    );
    let engine = surge_contributor::start(config).await?;
    let mut snapshots = engine.snapshots();
    let mut term = signal(SignalKind::terminate())?;
    let mut said = String::new();
    loop {
        let headline = snapshots.borrow_and_update().headline.clone();
        if headline != said {
            tracing::info!("{headline}");
            said = headline;
        }
        tokio::select! {
            _ = tokio::signal::ctrl_c() => break,
            _ = term.recv() => break,
            changed = snapshots.changed() => if changed.is_err() { break },
        }
    }
    tracing::info!("Stopping: running tasks are given back, finished results are kept");
    engine.shutdown().await;
    Ok(ExitCode::SUCCESS)
}

/// What is said here holds over the settings file, also when that changes.
fn apply(args: &RunArgs, config: &mut Config) -> Result<()> {
    if let Some(every) = args.checkpoint_ms {
        config.checkpoint_every = Duration::from_millis(every);
    }
    let presence = args.presence.map(|presence| match presence {
        PresenceArg::Auto => "auto".to_owned(),
        PresenceArg::Headless => "headless".to_owned(),
    });
    let said = [
        ("presence", presence),
        ("idle_after_seconds", args.idle_after.map(|seconds| seconds.to_string())),
        ("workers", args.workers.map(|workers| workers.to_string())),
        ("share_machine", args.share_machine.then(|| "true".to_owned())),
    ];
    for (key, value) in said {
        if let Some(value) = value {
            config.overrule(Change::new(key, value))?;
        }
    }
    Ok(())
}

pub(crate) async fn status(paths: &Paths, json: bool) -> Result<ExitCode> {
    let snapshot = ask(paths, Request::Snapshot).await?;
    if json {
        return json_line(&snapshot);
    }
    line(&snapshot.headline)?;
    line(&format!("Network   {}", snapshot.network.as_deref().unwrap_or("none")))?;
    line(&format!("Payout    {}", snapshot.payout.as_deref().unwrap_or("none")))?;
    line(&format!("Load      {:.0} % of this computer", snapshot.load_percent))?;
    for worker in &snapshot.workers {
        let state = if worker.share > 0.0 { "running" } else { "held" };
        let cpu = worker.cpu_ms as f64 / 1_000.0;
        line(&format!("Task      {} #{}, {state}, {cpu:.1} CPU s, pid {}", worker.job_name, worker.index, worker.pid))?;
    }
    let earnings = &snapshot.earnings;
    line(&format!("Tasks     {} accepted, {} rejected", earnings.tasks_accepted, earnings.tasks_rejected))?;
    for notice in &snapshot.notices {
        line(&format!("Note      {}", notice.detail))?;
    }
    if snapshot.undelivered > 0 {
        line(&format!("Waiting   {} finished results to deliver", snapshot.undelivered))?;
    }
    Ok(ExitCode::SUCCESS)
}

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
fn lines(reason: &Reason, now: u64) -> Vec<String> {
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
    lines
}

/// How a pause is asked for.
#[derive(Debug, Args)]
pub(crate) struct PauseArgs {
    /// For how long: 90s, 30m, 2h, 1d; without it until you resume
    #[arg(value_parser = crate::duration::parse, conflicts_with_all = ["until", "finish"])]
    duration: Option<u64>,
    /// Until this time of day, today or tomorrow: 18:30
    #[arg(long, value_name = "HH:MM", value_parser = crate::duration::next_time_of_day, conflicts_with = "finish")]
    until: Option<u64>,
    /// Let the running tasks finish first, and start no new one
    #[arg(long)]
    finish: bool,
}

pub(crate) async fn pause(paths: &Paths, args: &PauseArgs, json: bool) -> Result<ExitCode> {
    let command = match args.until {
        _ if args.finish => Command::Finish,
        Some(unix) => Command::PauseUntil { unix },
        None => Command::Pause { seconds: args.duration },
    };
    after(ask(paths, Request::Command(command)).await?, json)
}

pub(crate) async fn resume(paths: &Paths, json: bool) -> Result<ExitCode> {
    after(ask(paths, Request::Command(Command::Resume)).await?, json)
}

fn after(snapshot: Snapshot, json: bool) -> Result<ExitCode> {
    if json { json_line(&snapshot) } else { line(&snapshot.headline).map(|()| ExitCode::SUCCESS) }
}
