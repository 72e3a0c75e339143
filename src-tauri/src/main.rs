//! The desktop shell: tray first, a window on demand. It shows what the engine tells, sends it commands, and starts it where
//! none runs. The engine is a process of its own, and outlives it.
//!
//! Deliberately absent: rules about when work runs, money, network, keys.

#![cfg_attr(not(debug_assertions), windows_subsystem = "windows")]

mod action;
mod app;
mod commands;
mod crash;
mod display;
mod follow;
mod host;
mod locale;
mod lost;
#[cfg(test)]
mod messages;
mod pause;
mod shell;
mod start;
mod surroundings;
mod tray;
mod view;
mod window;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
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

/// Logs to standard error, which a session keeps in its journal. `RUST_LOG` chooses what.
fn log() {
    let usual = || Targets::new().with_default(LevelFilter::INFO);
    let level = std::env::var("RUST_LOG").ok().and_then(|level| level.parse().ok()).unwrap_or_else(usual);
    let errors = fmt::layer().with_writer(std::io::stderr).log_internal_errors(false);
    tracing_subscriber::registry().with(level).with(errors).init();
}

fn main() -> ExitCode {
    surge_platform::memory::share_heaps();
    let args = Args::parse();
    log();
    if let Ok(paths) = Paths::resolve(args.home.as_deref()) {
        crash::keep(&paths);
    }
    match app::run(args.home.as_deref(), args.hidden) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error may be closed, and a failure to tell is no reason to crash.
            let _ = writeln!(std::io::stderr(), "surge-desktop: {error:#}");
            ExitCode::FAILURE
        }
    }
}
