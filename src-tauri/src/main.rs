//! The desktop shell: tray first, a window on demand. It hosts the engine, shows its snapshots, sends its commands.
//!
//! Deliberately absent: rules about when work runs, money, network, keys.

#![cfg_attr(not(debug_assertions), windows_subsystem = "windows")]

mod action;
mod app;
mod commands;
mod display;
mod pause;
mod shell;
mod surroundings;
mod tray;
mod window;
mod words;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use surge_contributor::log::{LogFile, WorkerGuard};
use surge_platform::paths::Paths;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Surge in the tray of your desktop.
#[derive(Debug, Parser)]
#[command(name = "surge-desktop", version)]
struct Args {
    /// The data folder, instead of $SURGE_HOME or the user's own.
    #[arg(long, value_name = "DIR")]
    home: Option<PathBuf>,
    /// Start in the tray, without a window.
    #[arg(long)]
    hidden: bool,
}

/// Logs to standard error and to the file in the home, where a crash leaves its story too.
fn log(home: Option<&Path>) -> (Option<LogFile>, Vec<WorkerGuard>) {
    let usual = || Targets::new().with_default(LevelFilter::INFO);
    let level = std::env::var("RUST_LOG").ok().and_then(|level| level.parse().ok()).unwrap_or_else(usual);
    let file = Paths::resolve(home).ok().and_then(|paths| {
        surge_contributor::crash::keep(&paths, concat!("surge-desktop ", env!("CARGO_PKG_VERSION")).to_owned());
        // A home that can't be written is told by the engine itself.
        LogFile::open(&paths.log()).ok()
    });
    let (errors, errors_guard) = surge_contributor::log::aside(std::io::stderr());
    let errors = fmt::layer().with_writer(errors).log_internal_errors(false);
    let (aside, file_guard) = file.clone().map(surge_contributor::log::aside).unzip();
    let layer = aside.map(|aside| fmt::layer().with_writer(aside).with_ansi(false));
    tracing_subscriber::registry().with(level).with(errors).with(layer).init();
    (file, [errors_guard].into_iter().chain(file_guard).collect())
}

fn main() -> ExitCode {
    surge_platform::memory::share_heaps();
    let args = Args::parse();
    let (log, _written_at_the_end) = log(args.home.as_deref());
    match app::run(args.home.as_deref(), args.hidden) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("surge-desktop: {error:#}");
            if let Some(mut log) = log {
                // Nobody sees what an app of the desktop prints.
                let _ = writeln!(log, "{} ERROR {error:#}", jiff::Timestamp::now());
            }
            ExitCode::FAILURE
        }
    }
}
