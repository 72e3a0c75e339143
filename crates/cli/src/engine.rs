//! `surge run`, `pause`, `resume`: the engine's process, and the owner's word to it.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use surge_client::view::{Command, Reason, Snapshot};
use surge_client::wire::Request;
use surge_client::words::Words;
use surge_client::{Engine, ask};
use surge_contributor::log::LogFile;
use surge_contributor::settings::Change;
use surge_contributor::{Config, End, Handle, SetupError};
use surge_platform::paths::Paths;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit_status::ExitStatus;
use crate::failure::{self, Failure};
use crate::manager::Manager;
use crate::say::{json_line, line};
use crate::skew;
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
    /// Ends with status 10, 11 or 13 when it is not set up, rather than to wait until it is: for servers
    #[arg(long)]
    exit_when_not_set_up: bool,
    /// Leaves the session and the terminal of whoever starts it, and logs to its file only: for shells that start it
    #[arg(long, hide = true)]
    pub(crate) own_session: bool,
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

/// Runs the engine until it is asked to end.
pub(crate) fn run(paths: &Paths, args: &RunArgs, log: Option<LogFile>) -> Result<ExitCode> {
    let ran = engine(paths, args);
    if let (Err(error), Some(mut log)) = (&ran, log) {
        // What is told on standard error may be gone in the morning.
        let _ = writeln!(log, "{} ERROR {}", jiff::Timestamp::now(), failure::told(error));
    }
    ran
}

fn engine(paths: &Paths, args: &RunArgs) -> Result<ExitCode> {
    // What it prints must not stop it while its workers go on.
    surge_platform::terminal::never_stop_for_output();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Heard from here on: who ends it while it starts is obeyed as soon as it can be.
    let signals = {
        let _inside = runtime.enter();
        Signals::listen()?
    };
    let config = configured(paths, args)?;
    tracing::info!(version = VERSION, home = %paths.home.display(), overrides = ?config.overrides, "Starting");
    let engine = surge_contributor::start(config)?;
    match runtime.block_on(host(engine, signals))? {
        End::Asked => Ok(ExitCode::SUCCESS),
        End::NotSetUp(error) => Err(Unready(error).into()),
        End::HomeGone => {
            let home = paths.home.display();
            let message = format!("the home {home} was removed or replaced while the engine ran: start it again");
            Err(Failure::new("home_gone", message).into())
        }
        End::Broken(part) => {
            let _ = writeln!(
                std::io::stderr(),
                "surge: a part of the engine crashed ({part}): `surge report` has the story"
            );
            Ok(ExitStatus::Crashed.into())
        }
    }
}

/// Tells the service manager and the log what the engine does, and passes on what signals ask for.
async fn host(mut engine: Handle, mut signals: Signals) -> Result<End> {
    let manager = Manager::find();
    manager.tell("READY=1");
    let mut snapshots = engine.snapshots();
    let mut said = None;
    let mut stopping = false;
    loop {
        let headline = Headline::of(&snapshots.borrow_and_update());
        if said.as_ref() != Some(&headline) && !stopping {
            headline.log();
            // Everybody on the computer can read it.
            manager.tell(&format!("STATUS={}", headline.sentence));
            said = Some(headline);
        }
        tokio::select! {
            biased;
            end = engine.ended() => return Ok(end),
            asked = signals.next() => match asked {
                Asked::Stop => {
                    engine.suspend().await;
                    // It goes on here when somebody continues it.
                    surge_platform::terminal::stop_this_process();
                    engine.go_on();
                }
                Asked::End if stopping => {
                    bail!("asked to end again: ended without giving the running tasks back")
                }
                Asked::End => {
                    stopping = true;
                    manager.tell("STOPPING=1");
                    tracing::info!("Stopping: running tasks are given back, finished results are kept");
                    engine.stop();
                }
            },
            Ok(()) = snapshots.changed() => {}
        }
    }
}

/// The state as it is logged: the sentence names no program. That is in a field of its own, so that who takes private
/// things out of a log need not read sentences.
#[derive(Debug, PartialEq, Eq)]
struct Headline {
    sentence: String,
    program: Option<String>,
}

impl Headline {
    fn of(snapshot: &Snapshot) -> Self {
        let program = snapshot.reasons.first().and_then(Reason::program).map(str::to_owned);
        Self { sentence: Words::english().headline_without_program(snapshot), program }
    }

    fn log(&self) {
        tracing::info!(program = self.program, "{}", self.sentence);
    }
}

/// Why the engine did not wait until it is set up.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unready(pub(crate) Arc<SetupError>);

/// What is heard of users, terminals and service managers.
struct Signals {
    /// Ctrl-C, what a session or a service manager sends at its end, and a terminal that goes.
    end: [Signal; 3],
    /// Ctrl-Z.
    terminal_stop: Signal,
}

impl Signals {
    fn listen() -> Result<Self> {
        let [interrupt, terminate, hangup] =
            [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
        let terminal_stop = signal(SignalKind::from_raw(surge_platform::terminal::STOP))?;
        Ok(Self { end: [interrupt?, terminate?, hangup?], terminal_stop })
    }

    async fn next(&mut self) -> Asked {
        let [interrupt, terminate, hangup] = &mut self.end;
        tokio::select! {
            _ = interrupt.recv() => Asked::End,
            _ = terminate.recv() => Asked::End,
            _ = hangup.recv() => Asked::End,
            _ = self.terminal_stop.recv() => Asked::Stop,
        }
    }
}

/// What a signal asks this process for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    End,
    /// To stop until it is continued.
    Stop,
}

/// What is said here holds over the settings file, also when that changes.
fn configured(paths: &Paths, args: &RunArgs) -> Result<Config> {
    let mut config = Config::new(paths.clone());
    config.exit_when_not_set_up = args.exit_when_not_set_up;
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
    Ok(config)
}

const PAUSES: &str = "\
Examples:
  surge pause
  surge pause 2h
  surge pause 1h30m
  surge pause --until 18:30
  surge pause --finish";

/// How a pause is asked for.
#[derive(Debug, Args)]
#[command(after_help = PAUSES)]
pub(crate) struct PauseArgs {
    /// For how long: 90s, 30m, 2h, 1h30m, 1d, at most 365d; without it until you resume
    #[arg(value_parser = crate::duration::parse, conflicts_with_all = ["until", "finish"])]
    duration: Option<u64>,
    /// Until this time of day, today or tomorrow: 18:30
    #[arg(long, value_name = "HH:MM", value_parser = crate::duration::next_time_of_day, conflicts_with = "finish")]
    pub(crate) until: Option<u64>,
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
    after(&ask(paths, Request::Command(command)).await?, json)
}

pub(crate) async fn resume(paths: &Paths, json: bool) -> Result<ExitCode> {
    after(&ask(paths, Request::Command(Command::Resume)).await?, json)
}

fn after(engine: &Engine, json: bool) -> Result<ExitCode> {
    let Engine { hello, snapshot } = engine;
    if json {
        json_line(&document(snapshot))?;
    } else {
        line(&Words::english().headline(snapshot))?;
    }
    skew::tell(hello, json)?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use proptest::prelude::*;
    use surge_client::view::ReasonCode;

    use super::*;
    use crate::redact::{Private, redact};

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What is logged of it, written as the engine's file is.
    fn logged(headline: &Headline) -> String {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .with_target(false)
            .without_time()
            .finish();
        tracing::subscriber::with_default(subscriber, || headline.log());
        let bytes = log.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn held(code: ReasonCode, program: &str) -> Headline {
        Headline::of(&Snapshot { reasons: vec![Reason::new(code).about(program)], ..Snapshot::default() })
    }

    #[test]
    fn a_program_is_logged_in_its_field_and_in_no_sentence() {
        let headline = held(ReasonCode::ExcludedProgram, "steam");
        assert_eq!(logged(&headline), " INFO Waiting: a program of your list is running program=\"steam\"\n");
        let other = Headline::of(&Snapshot { reasons: vec![Reason::new(ReasonCode::NoWork)], ..Snapshot::default() });
        assert!(!logged(&other).contains("program"), "{other:?}");
    }

    fn about_programs() -> Vec<ReasonCode> {
        ReasonCode::ALL.into_iter().filter(|code| code.is_about_programs()).collect()
    }

    proptest! {
        #[test]
        fn no_name_of_a_program_in_a_log_passes_whatever_it_is(
            code in prop::sample::select(about_programs()),
            program in "[ -~\u{e4}\u{df}\n\t\u{1b}\u{202e}]{0,20}\"? ?Zq7[\"\\\\\n]{0,2}[a-z]{0,3}",
        ) {
            let log = logged(&held(code, &program));
            let told = redact(&log, &Private::default()).text;
            prop_assert!(log.contains("Zq7") && !told.contains("Zq7"), "{told:?}");
            prop_assert_eq!(log.lines().count(), 1, "{}", log);
        }
    }
}
