//! `surge run`, `status`, `why`, `pause`, `resume`: the engine without a window, and the questions to whichever shell
//! hosts it.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, ValueEnum};
use surge_contributor::control::{Request, ask};
use surge_contributor::settings::PresenceSetting;
use surge_contributor::view::{Command, Snapshot};
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
    apply(args, &mut config);
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

fn apply(args: &RunArgs, config: &mut Config) {
    if let Some(every) = args.checkpoint_ms {
        config.checkpoint_every = Duration::from_millis(every);
    }
    let settings = &mut config.settings;
    match args.presence {
        Some(PresenceArg::Auto) => settings.presence = PresenceSetting::Auto,
        Some(PresenceArg::Headless) => settings.presence = PresenceSetting::Headless,
        None => {}
    }
    settings.idle_after_seconds = args.idle_after.unwrap_or(settings.idle_after_seconds);
    settings.workers = args.workers.unwrap_or(settings.workers);
    settings.share_machine |= args.share_machine;
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
        line(&format!("{}. {}", number + 1, reason.detail))?;
        if let Some(until) = reason.until.filter(|until| *until > snapshot.at) {
            line(&format!("   may change in {}", span(until - snapshot.at)))?;
        }
        line(&format!("   {}", reason.remedy))?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn pause(paths: &Paths, seconds: Option<u64>, json: bool) -> Result<ExitCode> {
    after(ask(paths, Request::Command(Command::Pause { seconds })).await?, json)
}

pub(crate) async fn resume(paths: &Paths, json: bool) -> Result<ExitCode> {
    after(ask(paths, Request::Command(Command::Resume)).await?, json)
}

fn after(snapshot: Snapshot, json: bool) -> Result<ExitCode> {
    if json { json_line(&snapshot) } else { line(&snapshot.headline).map(|()| ExitCode::SUCCESS) }
}
