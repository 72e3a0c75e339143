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

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

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

fn main() -> ExitCode {
    let args = Args::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match app::run(args.home.as_deref(), args.hidden) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("surge-desktop: {error:#}");
            ExitCode::FAILURE
        }
    }
}
