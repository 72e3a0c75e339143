//! `surge-coordinator`: puts a network on a chain, and runs it.
//!
//! It parses its arguments once, prints what it understood, and serves until it is told to stop. What it does then is
//! the library's.

mod operator;

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use serde_json::json;
use surge_coordinator::chain::evm::Evm;
use surge_coordinator::chain::{Chain, ChainError};
use surge_coordinator::clock::System;
use surge_coordinator::config::Rules;
use surge_coordinator::coordinator::{Config, Coordinator, World};
use surge_coordinator::replay::worker::WorkerReplay;
use surge_protocol::network::SignedNetwork;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Run a Surge network
#[derive(Debug, Parser)]
#[command(name = "surge-coordinator", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the address of an operator's key
    Address(operator::KeyArgs),
    /// Deploy the contracts and write the network's signed manifest
    Deploy(operator::DeployArgs),
    /// Create reward tokens
    Mint(operator::MintArgs),
    /// Serve the network
    Run(RunArgs),
}

#[derive(Debug, Args)]
struct RunArgs {
    #[command(flatten)]
    key: operator::KeyArgs,
    /// Where manifest, coordinator key, database and blobs are
    #[arg(long, value_name = "FOLDER")]
    home: PathBuf,
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
    /// The `surge-worker` program that replays; beside this program if not given
    #[arg(long, value_name = "FILE")]
    worker: Option<PathBuf>,
    /// Receipts wait at most so long for their epoch
    #[arg(long, default_value_t = 3_600, value_name = "N")]
    epoch_seconds: u64,
    /// With fewer nodes than a job's quorum for so long, the coordinator computes a task itself
    #[arg(long, default_value_t = 30, value_name = "N")]
    replay_after_seconds: u64,
    /// A lease ends so long after its last heartbeat
    #[arg(long, default_value_t = 60, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=3_600))]
    lease_seconds: u64,
    /// A node whose other programs use more than this gets no task; 100 turns that off, for test beds
    #[arg(long, default_value_t = 90, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(1..=100))]
    highest_load: u8,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let usual = || Targets::new().with_target("surge_coordinator", LevelFilter::INFO).with_default(LevelFilter::WARN);
    let level = std::env::var("RUST_LOG").ok().and_then(|level| level.parse().ok()).unwrap_or_else(usual);
    let errors = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false);
    tracing_subscriber::registry().with(level).with(errors).init();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&anyhow::Error::from(error)),
    };
    let done = match cli.command {
        Command::Address(args) => operator::address(&args),
        Command::Deploy(args) => runtime.block_on(operator::deploy(&args)),
        Command::Mint(args) => runtime.block_on(operator::mint(&args)),
        Command::Run(args) => runtime.block_on(run(&args)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    // Nobody listening is no second failure.
    let _ = writeln!(io::stderr(), "surge-coordinator: {error:#}");
    ExitCode::FAILURE
}

async fn run(args: &RunArgs) -> Result<()> {
    let manifest: SignedNetwork = operator::read_manifest(&args.home)?;
    let network = manifest.clone().verified().context("the network's manifest is not valid")?;
    let _lock = operator::lock(&args.home)?;
    let key = operator::read_key(&args.home.join(operator::COORDINATOR_KEY))?;
    let settler = args.key.read()?;
    let worker = operator::worker(args.worker.clone())?;
    let rules = Rules {
        epoch_every: args.epoch_seconds.saturating_mul(1_000),
        replay_after: args.replay_after_seconds.saturating_mul(1_000),
        lease: args.lease_seconds.saturating_mul(1_000),
        highest_load: f32::from(args.highest_load),
        ..Rules::default()
    };
    tracing::info!(
        network = %network.name, chain = network.chain_id, settlement = %network.settlement, settler = %settler.address(),
        home = %args.home.display(), worker = %worker.display(), ?rules, "Starting"
    );
    let chain = Arc::new(Evm::new(network, settler));
    match chain.chain_id().await {
        Ok(_) => {}
        Err(error @ ChainError::Unreachable(_)) => {
            tracing::warn!(%error, "The chain can't be used now; work goes on, settlement waits");
        }
        // Another chain than the manifest's: nothing that is settled there would be this network's.
        Err(error) => return Err(error.into()),
    }
    let code = args.home.join("code");
    let replay = tokio::task::spawn_blocking(move || WorkerReplay::start(&worker, &code)).await??;
    let world = World { chain, replay: Arc::new(replay), clock: Arc::new(System) };
    let config = Config { home: args.home.clone(), network: manifest, rules };
    let coordinator = Coordinator::build(config, key, world).await?;
    let listener = TcpListener::bind(args.listen).await.with_context(|| {
        format!("can't listen on {}: another program may use that port; choose one with --listen", args.listen)
    })?;
    let bound = listener.local_addr()?;
    tracing::info!(%bound, "Serving");
    writeln!(io::stdout(), "{}", json!({ "listening": bound.to_string() }))?;
    coordinator.run(listener, stop()).await.context("the listener failed")
}

/// Completes on Ctrl-C or SIGTERM.
async fn stop() {
    let term = signal(SignalKind::terminate());
    let Ok(mut term) = term else { return tokio::signal::ctrl_c().await.unwrap_or_default() };
    tokio::select! {
        _ = term.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    tracing::info!("Stopping");
}
