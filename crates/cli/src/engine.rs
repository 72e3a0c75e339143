//! `surge run`, `pause`, `resume`: the engine without a window, and the owner's word to whichever shell hosts it.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use surge_client::send;
use surge_client::view::{Command, Snapshot};
use surge_client::words::Words;
use surge_contributor::Config;
use surge_contributor::log::LogFile;
use surge_contributor::settings::Change;
use surge_platform::paths::Paths;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure;
use crate::manager::Manager;
use crate::say::{json_line, line};
use crate::state::document;
use crate::version::VERSION;

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

pub(crate) async fn run(paths: &Paths, args: &RunArgs, log: Option<LogFile>) -> Result<ExitCode> {
    let ran = engine(paths, args).await;
    if let (Err(error), Some(mut log)) = (&ran, log) {
        // What is told on standard error may be gone in the morning.
        let _ = writeln!(log, "{} ERROR {}", jiff::Timestamp::now(), failure::told(error));
    }
    ran
}

async fn engine(paths: &Paths, args: &RunArgs) -> Result<ExitCode> {
    // Heard from here on: who ends it while it starts is obeyed as soon as it can be.
    let mut end = End::listen()?;
    let mut config = Config::load(paths)?;
    apply(args, &mut config)?;
    tracing::info!(
        version = VERSION, home = %paths.home.display(), network = %config.network.name,
        node = %config.device.address(), payout = %config.payout.payout, settings = ?config.settings, "Starting"
    );
    for url in &config.network.coordinators {
        if let Some(proxy) = surge_contributor::http::proxy_for(url) {
            tracing::info!(%url, %proxy, "A proxy is in use");
        }
    }
    let manager = Manager::find();
    let engine = surge_contributor::start(config).await?;
    manager.tell("READY=1");
    let mut snapshots = engine.snapshots();
    let (words, mut said) = (Words::english(), String::new());
    let asked = loop {
        let headline = words.headline(&snapshots.borrow_and_update());
        if headline != said {
            tracing::info!("{headline}");
            manager.tell(&format!("STATUS={headline}"));
            said = headline;
        }
        tokio::select! {
            () = end.asked() => break true,
            changed = snapshots.changed() => if changed.is_err() { break false },
        }
    };
    manager.tell("STOPPING=1");
    tracing::info!("Stopping: running tasks are given back, finished results are kept");
    tokio::select! {
        () = engine.shutdown() => {}
        () = end.asked() => bail!("asked to end again: ended without giving the running tasks back"),
    }
    if !asked {
        bail!("the engine has ended by itself; the lines above say why");
    }
    Ok(ExitCode::SUCCESS)
}

/// Ctrl-C, what a session or a service manager sends at its end, and a terminal that goes.
struct End(Signal, Signal, Signal);

impl End {
    fn listen() -> Result<Self> {
        let [interrupt, terminate, hangup] =
            [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
        Ok(Self(interrupt?, terminate?, hangup?))
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.0.recv() => {}
            _ = self.1.recv() => {}
            _ = self.2.recv() => {}
        }
    }
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
    after(send(paths, command).await?, json)
}

pub(crate) async fn resume(paths: &Paths, json: bool) -> Result<ExitCode> {
    after(send(paths, Command::Resume).await?, json)
}

fn after(snapshot: Snapshot, json: bool) -> Result<ExitCode> {
    if json {
        json_line(&document(&snapshot))
    } else {
        line(&Words::english().headline(&snapshot)).map(|()| ExitCode::SUCCESS)
    }
}
