//! `surge`: run the engine without a window, ask it questions, handle the wallet, submit jobs, try a module.
//!
//! A shell over `contributor`, `wallet` and `supervisor`: it holds no rules of its own. What it prints is on standard
//! output, once, for people or with `--json` for programs; errors and logs are on standard error.

mod attach;
mod coordinator;
mod duration;
mod earnings;
mod engine;
mod exit_status;
mod failure;
mod http;
mod job;
mod limits;
mod manager;
mod passphrase;
mod redact;
mod report;
mod say;
mod session;
mod skew;
mod state;
mod task;
mod timeline;
mod usage;
mod version;
mod wallet;
mod watch;
mod why;

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, Parser, Subcommand};
use surge_contributor::log::{LogFile, WorkerGuard};
use surge_platform::home;
use surge_platform::paths::Paths;
use surge_protocol::Digest;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::exit_status::ExitStatus;
use crate::failure::Failure;

/// The heading in every help of what every command takes, so that a command's own options stand together.
const EVERYWHERE: &str = "Options of every command";

/// Let this computer earn while nobody uses it
#[derive(Debug, Parser)]
#[command(name = "surge", version = version::VERSION, after_help = exit_status::STATUSES)]
struct Cli {
    /// Where everything is kept; if not given, what the variable SURGE_HOME names, or this user's data folder
    #[arg(long, global = true, value_name = "FOLDER", help_heading = EVERYWHERE)]
    home: Option<PathBuf>,
    /// The home of the system service, instead of one's own
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    system: bool,
    /// Print one JSON document instead of text
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Attach to a network by its coordinator's URL or its manifest file
    Attach(attach::AttachArgs),
    /// Run the engine until Ctrl-C
    Run(engine::RunArgs),
    /// Tell the system service whether somebody uses this graphical session
    Session,
    /// What the engine does now
    Status {
        /// Go on telling whenever it changes, until Ctrl-C
        #[arg(long)]
        watch: bool,
    },
    /// Why nothing runs, all reasons in order
    Why,
    /// What it did in the last days, and why
    Timeline(timeline::TimelineArgs),
    /// Gather what helps to find a fault, without names and secrets, and write it after you have seen it
    Report(report::ReportArgs),
    /// Stop all work now, or after the running tasks
    Pause(engine::PauseArgs),
    /// End a pause
    Resume,
    /// Show the limits, or change them
    Limits(limits::LimitsArgs),
    /// What this device's payout account earned
    Earnings,
    /// Keys and money
    Wallet(wallet::WalletArgs),
    /// Submit the job that a TOML file describes
    #[command(after_help = "Example:\n  surge submit job.toml\n\njobs/README.md shows a description.")]
    Submit {
        /// The file of the description; the paths in it are relative to it
        #[arg(value_name = "JOB.toml")]
        job: PathBuf,
        #[command(flatten)]
        passphrase: passphrase::PassphraseArgs,
    },
    /// Look at submitted jobs
    #[command(subcommand)]
    Job(JobCommand),
    /// Try a job's module on this computer
    Task(task::TaskArgs),
}

impl Command {
    /// Whether any engine will do that this user may ask.
    const fn asks_an_engine(&self) -> bool {
        matches!(self, Self::Status { .. } | Self::Why | Self::Pause(_) | Self::Resume)
    }
}

fn resolve(home: Option<&std::path::Path>) -> Result<Paths> {
    let paths = Paths::resolve(home);
    Ok(paths.map_err(|error| Failure::new("bad_home", format!("{error}, or name a folder with --home")))?)
}

/// The user's own engine if it runs, else the system service if that runs, and says so.
fn engine_to_ask(json: bool) -> Result<Paths> {
    let (own, system) = (resolve(None)?, Paths::system());
    if surge_client::answers(&own) || !surge_client::answers(&system) {
        return Ok(own);
    }
    if !json {
        // Standard output is for the answer.
        let _ = writeln!(std::io::stderr(), "This is the service of the whole computer ({}):", system.home.display());
    }
    Ok(system)
}

#[derive(Debug, Subcommand)]
enum JobCommand {
    /// How far a job is
    Status {
        /// What `surge submit` has printed
        job: Digest,
    },
    /// Write the outputs of validated tasks to a folder
    Fetch {
        /// What `surge submit` has printed
        job: Digest,
        /// Made where there is none; each output is a file INDEX.out
        #[arg(long, value_name = "FOLDER")]
        out: PathBuf,
    },
}

impl Command {
    /// Whether it takes or shows times of day.
    fn tells_time(&self) -> bool {
        matches!(
            self,
            Self::Run(_)
                | Self::Timeline(_)
                | Self::Status { watch: true }
                | Self::Pause(engine::PauseArgs { until: Some(_), .. })
        )
    }
}

fn main() -> ExitCode {
    surge_platform::memory::share_heaps();
    let ran = match Cli::try_parse() {
        Err(error) => usage::answer(&error, Cli::command()),
        Ok(cli) => {
            let json = cli.json;
            run(cli).map_err(|error| (error, json))
        }
    };
    ran.unwrap_or_else(|(error, json)| tell(&error, json).into())
}

/// Tells a failure: one line on standard error, and with `--json` a document on standard output. Returns the exit status.
fn tell(error: &anyhow::Error, json: bool) -> ExitStatus {
    // Both may be closed, and a failure to tell is no reason to crash.
    let _ = writeln!(std::io::stderr(), "surge: {}", say::plain(&failure::told(error)));
    if json {
        let _ = say::line(&failure::document(error).to_string());
    }
    failure::status(error)
}

fn usual_level() -> Targets {
    Targets::new()
        .with_targets([("surge", LevelFilter::INFO), ("surge_contributor", LevelFilter::INFO)])
        .with_target("rustls_platform_verifier", LevelFilter::OFF)
        .with_default(LevelFilter::WARN)
}

/// Logs to standard error, and the engine also to the file in its home, without ever waiting for either; `RUST_LOG` chooses
/// what. What is left is written when the guards go.
/// `only_file`: nobody reads standard error but for the last words.
fn log(engine: bool, file: Option<LogFile>, only_file: bool) -> Vec<WorkerGuard> {
    let level = std::env::var("RUST_LOG").ok().and_then(|level| level.parse().ok()).unwrap_or_else(usual_level);
    let (errors, errors_guard) = match engine.then(|| surge_contributor::log::aside(std::io::stderr())) {
        Some((errors, guard)) => (BoxMakeWriter::new(errors), Some(guard)),
        None => (BoxMakeWriter::new(std::io::stderr), None),
    };
    let errors = tracing_subscriber::fmt::layer()
        .with_writer(errors)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .log_internal_errors(false);
    let (file, file_guard) = file.map(surge_contributor::log::aside).unzip();
    let errors = (!only_file).then_some(errors);
    let file = file.map(|file| tracing_subscriber::fmt::layer().with_writer(file).with_ansi(false).with_target(false));
    tracing_subscriber::registry().with(level).with(errors).with(file).init();
    errors_guard.into_iter().chain(file_guard).collect()
}

/// What the engine leaves for whoever looks later: its log, and the story of a crash.
fn keep(paths: &Paths) -> Option<LogFile> {
    surge_contributor::crash::keep(paths, format!("surge {}", version::VERSION));
    // A home that can't be written is told by the engine itself.
    LogFile::open(&paths.log()).ok()
}

fn run(cli: Cli) -> Result<ExitCode> {
    let Cli { home, system, json, command } = cli;
    let home = if system { Some(Paths::system().home) } else { home };
    if let Command::Task(args) = command {
        let _written_at_the_end = log(false, None, false);
        return task::run(Paths::resolve(home.as_deref()).ok().as_ref(), args, json);
    }
    if let Command::Session = command {
        let _written_at_the_end = log(false, None, false);
        let paths = home.map_or_else(Paths::system, |home| Paths { home });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        return runtime.block_on(session::session(&paths));
    }
    let paths = match home {
        // Who names a home, by the variable too, means that one.
        None if command.asks_an_engine() && std::env::var_os("SURGE_HOME").is_none() => engine_to_ask(json)?,
        home => resolve(home.as_deref())?,
    };
    let engine = matches!(command, Command::Run(_));
    let alone = matches!(&command, Command::Run(args) if args.own_session);
    if alone {
        surge_platform::detach::own_session()?;
    }
    if engine {
        home::prepare(&paths)?;
    } else {
        home::check(&paths)?;
    }
    let file = engine.then(|| keep(&paths)).flatten();
    let _written_at_the_end = log(engine, file.clone(), alone);
    if command.tells_time()
        && let Some(warning) = duration::unknown_zone()
    {
        tracing::warn!("{warning}");
    }
    if let Command::Run(args) = command {
        return engine::run(&paths, &args, file);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(answer(&paths, json, command))
}

async fn answer(paths: &Paths, json: bool, command: Command) -> Result<ExitCode> {
    match command {
        Command::Attach(args) => attach::attach(paths, &args, json).await,
        Command::Run(_) => unreachable!("it has a runtime of its own"),
        Command::Status { watch: true } => watch::watch(paths, json).await,
        Command::Status { watch: false } => state::status(paths, json).await,
        Command::Why => why::why(paths, json).await,
        Command::Timeline(args) => timeline::timeline(paths, &args, json),
        Command::Report(args) => report::report(paths, &args, json).await,
        Command::Pause(args) => engine::pause(paths, &args, json).await,
        Command::Resume => engine::resume(paths, json).await,
        Command::Limits(args) => limits::run(paths, args, json),
        Command::Earnings => earnings::earnings(paths, json).await,
        Command::Wallet(args) => wallet::run(paths, args, json).await,
        Command::Submit { job, passphrase } => job::submit(paths, &passphrase, &job, json).await,
        Command::Job(JobCommand::Status { job }) => job::status(paths, job, json).await,
        Command::Job(JobCommand::Fetch { job, out }) => job::fetch(paths, job, &out, json).await,
        Command::Session => session::session(paths).await,
        Command::Task(args) => task::run(Some(paths), args, json),
    }
}
