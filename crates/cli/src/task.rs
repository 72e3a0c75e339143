//! `surge task run`: one task on this machine, through the same supervisor and worker as production. The job author's
//! dry run.
//!
//! Deliberately absent: the network. Nothing is leased, nothing is paid.

mod checks;
mod input;
mod output;
mod show;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;
use surge_platform::paths::Paths;
use surge_protocol::frame::Lockdown;
use surge_protocol::task::{Limits, Meter};
use surge_protocol::{Amount, Outcome};
use surge_supervisor::{CodeCache, Config, Finished, Supervisor, Task, find_worker};

use checks::Checked;
use output::Output;

use crate::exit_status::ExitStatus;
use crate::failure::Failure;

/// Exit statuses, as `--help` has them.
const STATUSES: &str = "\
Exit status:
  0  done: the program returned, or left with status 0
  1  host: this machine failed at it (the worker crashed, was killed, could not read or write)
  2  usage: an option or a file is not what it should be; nothing was run
  3  exit: the program left with another status
  4  trap: the program trapped
  5  limit: a limit ended it
  6  invalid: the module was refused
  7  disagreement: with --twice or --kill-at, the second run gave another result

The result goes to standard output or --out, the program's log to standard error. With --json the last line
of standard error is the report of a task that was run: outcome, code, digest, fuel, cpu_ms, peak_memory_bytes,
output_bytes and more; a failure of this command is a document on standard output, as of every other command.
Every code is explained in docs/outcomes.md.

Examples:
  surge task run count.wasm --stdin text.txt
  surge task run align.wasm --stdin query.txt --data proteins.fasta=swissprot.fasta --out result.txt
  surge task run primes.wasm --arg 1000000 --twice";

/// More than any processor of today uses up in a century.
const ENDLESS_FUEL: u64 = 1 << 62;

#[derive(Debug, Args)]
pub(crate) struct TaskArgs {
    #[command(subcommand)]
    command: TaskCommand,
}

#[derive(Debug, Subcommand)]
enum TaskCommand {
    /// Run one task on this machine and show its result
    #[command(after_help = STATUSES)]
    Run(RunArgs),
}

#[derive(Debug, Args)]
struct RunArgs {
    /// The program: a WASI preview-1 command (wasm32-wasip1)
    #[arg(value_name = "MODULE.wasm")]
    module: PathBuf,
    /// An argument for the program; may be given many times
    #[arg(long = "arg", value_name = "A", allow_hyphen_values = true)]
    args: Vec<String>,
    /// What the program reads from standard input; `-` is this command's own
    #[arg(long, value_name = "FILE")]
    stdin: Option<PathBuf>,
    /// A data set that the program finds as /data/NAME; may be given many times
    #[arg(long, value_name = "NAME=FILE", value_parser = input::data)]
    data: Vec<(String, PathBuf)>,
    /// Linear memory, MiB
    #[arg(long, value_name = "N", default_value_t = 1_024, value_parser = clap::value_parser!(u64).range(1..=4_096))]
    memory_mib: u64,
    /// CPU time, seconds; time in which the task is suspended does not count
    #[arg(long, value_name = "N", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    cpu_seconds: u64,
    /// Time in which it is free to run, seconds, whether or not it gets a processor; ten times --cpu-seconds and at least
    /// an hour if not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    wall_seconds: Option<u64>,
    /// Share of one processor core, percent; the further runs of --twice and --kill-at are not capped
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u8).range(1..=100))]
    cpu_percent: u8,
    /// Standard output, MiB
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=256))]
    output_mib: u64,
    /// Seed of the program's random numbers
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// How work is counted
    #[arg(long, value_enum, default_value_t = MeterArg::None)]
    meter: MeterArg,
    /// With --meter fuel: how much of it the task may use; nearly endless if not given
    #[arg(long, value_name = "N")]
    fuel_budget: Option<u64>,
    /// Write the result here instead of standard output, which is `-`; a file is there whole, or as it was before: only a
    /// program that ended by itself (done, exit) replaces one
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Run it again in another process, and compare: a result that differs is never paid
    #[arg(long, conflicts_with = "kill_at")]
    twice: bool,
    /// Run it again, kill it when it has used so many CPU seconds, resume it from its last sync in /state, and compare
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    kill_at: Option<Duration>,
    /// Say what the task would cost where a core earns so many tokens an hour
    #[arg(long, value_name = "TOKENS")]
    core_hour: Option<Amount>,
    /// The least lock-down of the worker that will do
    #[arg(long, value_enum, default_value_t = SandboxArg::Full)]
    sandbox: SandboxArg,
}

/// As the setting `sandbox` of an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SandboxArg {
    /// Both walls: landlock and the filter over system calls
    Full,
    /// The filter alone, for kernels without landlock
    SeccompOnly,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum MeterArg {
    /// Not at all: full speed
    None,
    /// Every operator
    Fuel,
}

/// A failure for which an option or a file is to blame.
fn usage(code: &'static str, message: impl Into<String>) -> Failure {
    Failure::new(code, message).with_status(ExitStatus::Usage)
}

/// A failure of this machine.
fn host(code: &'static str, message: impl Into<String>) -> Failure {
    Failure::new(code, message).with_status(ExitStatus::Failed)
}

/// Runs the command.
///
/// # Errors
/// Why nothing was run, or the result could not be kept.
pub(crate) fn run(paths: Option<&Paths>, args: TaskArgs, json: bool) -> Result<ExitCode> {
    let TaskCommand::Run(args) = args.command;
    Ok(run_task(paths, &args, json)?)
}

fn run_task(paths: Option<&Paths>, args: &RunArgs, json: bool) -> Result<ExitCode, Failure> {
    let task = input::task(args)?;
    let worker = find_worker().map_err(|error| host("no_worker", error.to_string()))?;
    let output = Output::prepare(args.out.as_deref())?;
    let config = Config {
        wall: args.wall_seconds.map(Duration::from_secs),
        lockdown: lockdown(args.sandbox),
        code: code_cache(paths),
        ..Config::new(worker)
    };
    let supervisor = Supervisor::start(config).map_err(|error| host("no_worker", error.to_string()))?;
    let mut log = show::Log::new();
    let share = f32::from(args.cpu_percent) / 100.0;
    let finished = supervisor.run_logged(task.clone(), share, move |bytes| log.show(bytes)).wait();
    let checked = check(args, &supervisor, task, &finished)?;
    let kept = output.keep(&finished);
    let price = args.core_hour.map(|core_hour| price(core_hour, finished.cpu_ms));
    if json {
        show::say(&report(&finished, checked.as_ref(), price).to_string());
    } else {
        show::ending(&finished, share);
        checked.iter().for_each(|checked| show::say(&checked.sentence()));
        price.iter().for_each(|price| show::say(&format!("price of this task: {price} tokens")));
    }
    kept?;
    let disagrees = checked.is_some_and(|checked| !checked.agrees());
    Ok(if disagrees { ExitCode::from(7) } else { status(finished.outcome) })
}

/// The second run, if one was asked for and the first was no failure of this machine.
fn check(args: &RunArgs, supervisor: &Supervisor, task: Task, first: &Finished) -> Result<Option<Checked>, Failure> {
    if first.outcome == Outcome::Host {
        return Ok(None);
    }
    if args.twice {
        return Ok(Some(checks::twice(supervisor, task, first)));
    }
    let Some(cpu) = args.kill_at else { return Ok(None) };
    let folder = tempfile::tempdir()
        .map_err(|error| host("no_folder", format!("there is no place for the checkpoints: {error}")))?;
    checks::killed(supervisor, task, first, cpu, folder.path()).map(Some)
}

/// Compiled code is kept with everything else; where it can't be, every run compiles.
fn code_cache(paths: Option<&Paths>) -> Option<Arc<CodeCache>> {
    let paths = paths?;
    surge_platform::home::prepare(paths).ok()?;
    CodeCache::open(&paths.code()).map(Arc::new).ok()
}

const fn lockdown(sandbox: SandboxArg) -> Lockdown {
    match sandbox {
        SandboxArg::Full => Lockdown::Full,
        SandboxArg::SeccompOnly => Lockdown::SeccompOnly,
    }
}

/// CPU time at so much an hour, rounded up.
fn price(core_hour: Amount, cpu_ms: u64) -> Amount {
    const HOUR_MS: u128 = 3_600_000;
    Amount(core_hour.0.saturating_mul(cpu_ms.into()).div_ceil(HOUR_MS))
}

/// Parses seconds with decimals.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "expected seconds, for example 2.5".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|_| "expected seconds, for example 2.5".to_owned())
}

fn limits(args: &RunArgs) -> Limits {
    Limits {
        memory_bytes: args.memory_mib << 20,
        cpu_ms: args.cpu_seconds * 1_000,
        output_bytes: args.output_mib << 20,
        ..Limits::default()
    }
}

fn meter(args: &RunArgs) -> Result<Meter, Failure> {
    match (args.meter, args.fuel_budget) {
        (MeterArg::Fuel, budget) => Ok(Meter::Fuel { budget: budget.unwrap_or(ENDLESS_FUEL) }),
        (MeterArg::None, None) => Ok(Meter::None),
        (MeterArg::None, Some(_)) => {
            Err(usage("fuel_unmetered", "--fuel-budget means nothing without --meter fuel: add it"))
        }
    }
}

fn status(outcome: Outcome) -> ExitCode {
    ExitCode::from(match outcome {
        Outcome::Done => 0,
        Outcome::Host => 1,
        Outcome::Exit => 3,
        Outcome::Trap => 4,
        Outcome::Limit => 5,
        Outcome::Invalid => 6,
    })
}

/// The report of `--json`, under stable keys.
fn report(finished: &Finished, checked: Option<&Checked>, price: Option<Amount>) -> serde_json::Value {
    json!({
        "outcome": finished.outcome,
        "code": finished.code,
        "digest": finished.digest,
        "fuel": finished.fuel,
        "cpu_ms": finished.cpu_ms,
        "wall_ms": finished.wall_ms,
        "started_after_ms": (finished.started_after.as_secs_f64() * 1e6).round() / 1e3,
        "peak_memory_bytes": finished.peak_memory_bytes,
        "output_bytes": finished.output_bytes,
        "runtime_class": finished.runtime_class,
        "detail": finished.detail,
        "check": checked.map(Checked::json),
        "price": price,
    })
}
