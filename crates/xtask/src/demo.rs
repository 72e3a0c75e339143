//! The main job, end to end, on this machine, with every real part: a chain, a coordinator, a requester with three jobs,
//! two honest contributors and one whose worker returns wrong bytes, settlement, claim, withdrawal.
//!
//! It only drives programs that users have. What it states at the end it has read from the coordinator and the chain.

mod outside;
mod person;
mod plan;
#[path = "../../../tests/src/ports.rs"]
#[expect(unreachable_pub, reason = "it is a piece of the whole-system tests")]
mod ports;
mod progress;
mod stage;
mod statement;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::contracts;
use crate::run::{self, cargo, say, step, target};
use crate::setup;
use outside::Outside;
use person::{Person, amount, text, without_proxy};
use plan::Plan;
use ports::Port;
use stage::Stage;
use statement::{Contributor, Statement};

/// Tokens that the requester starts with, pays into escrow, and that the contributor withdraws a half of.
const SUPPLY: &str = "1000";
const ESCROW: &str = "100";
/// Fee of the demo's network, basis points.
const FEE_BPS: &str = "500";
/// Seconds without input after which the demo's contributors count as idle.
const IDLE_SECONDS: u64 = 3;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Writes the statement here as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Changes every input
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Leaves chain and coordinator up until Ctrl-C
    #[arg(long)]
    keep: bool,
    /// Stays in the terminal even where there is a display
    #[arg(long)]
    headless: bool,
    /// Uses the build of the tests instead of the release build
    #[arg(long)]
    dev: bool,
}

/// The programs, as they were built.
#[derive(Debug)]
struct Programs {
    surge: PathBuf,
    coordinator: PathBuf,
    flipping_worker: PathBuf,
    desktop: PathBuf,
    anvil: PathBuf,
}

/// How the contributors learn whether somebody is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seat {
    /// A display: its idle counter is asked.
    Display,
    /// No display: the demo declares the machine headless.
    None,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let seat =
        if std::env::var_os("DISPLAY").is_some_and(|display| !display.is_empty()) { Seat::Display } else { Seat::None };
    let window = seat == Seat::Display && !args.headless;
    step("setup");
    setup::for_contracts()?;
    if window {
        setup::for_desktop()?;
    }
    step("build");
    let programs = build(args.dev, window)?;
    let begun = Instant::now();
    let folder = target().join("demo");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| format!("{} can't be emptied", folder.display()))?;
    }
    let mut stage = Stage::new(&folder.join("logs"))?;
    let show = Show { args, seat, window, programs: &programs, folder: &folder, ports: [Port::free(), Port::free()] };
    // The people stay until the end: their wallets go when they do.
    let mut people = Vec::new();
    let statement = show.play(&mut stage, &mut people, begun)?;
    statement.print();
    if let Some(file) = &args.json {
        statement.write(file)?;
        say(format_args!("the statement is in {}", file.display()));
    }
    if window {
        say(format_args!("the window stays: quit Surge from its tray, or press Ctrl-C here"));
        stage.stay(Some("ada"))?;
    } else if args.keep {
        say(format_args!("chain and coordinator stay up; Ctrl-C ends them"));
        stage.stay(None)?;
    }
    Ok(())
}

fn build(dev: bool, window: bool) -> Result<Programs> {
    let built = if dev {
        // The same selection as the tests': with another one cargo would build most dependencies twice.
        run::run(&mut cargo(&["build", "--locked", "--workspace", "--all-targets"]))?;
        target().join("debug")
    } else {
        let mut args = vec!["build", "--locked", "--release", "--bins", "--example", "flipping-worker"];
        args.extend(["-p", "surge-cli", "-p", "surge-coordinator", "-p", "surge-runtime", "-p", "surge-supervisor"]);
        if window {
            args.extend(["-p", "surge-desktop"]);
        }
        run::run(&mut cargo(&args))?;
        target().join("release")
    };
    Ok(Programs {
        surge: built.join("surge"),
        coordinator: built.join("surge-coordinator"),
        flipping_worker: built.join("examples/flipping-worker"),
        desktop: built.join("surge-desktop"),
        anvil: contracts::program("anvil"),
    })
}

struct Show<'a> {
    args: &'a Args,
    seat: Seat,
    window: bool,
    programs: &'a Programs,
    folder: &'a Path,
    /// Of the chain and of the coordinator.
    ports: [Port; 2],
}

impl Show<'_> {
    fn play(&self, stage: &mut Stage, people: &mut Vec<Person>, begun: Instant) -> Result<Statement> {
        let outside = self.network(stage)?;
        let network: Value = outside.get("/v1/network")?;
        let token = text(&network["network"], "token")?;
        let rosa = self.person(people, "rosa", &outside)?;
        let plans = self.jobs(rosa, &outside)?;
        let picture = target().join(format!("demo-picture-{}.png", self.args.seed));
        self.contributors(stage, people, &outside)?;
        let [rosa, contributors @ ..] = people.as_slice() else { unreachable!("rosa is the first person") };
        progress::watch(stage, &outside, &plans, contributors)?;
        self.results(rosa, &plans, &picture)?;
        step("settlement");
        let status = stage.wait_for("the last epoch's finalization", Duration::from_secs(60), || {
            let status: Value = outside.get("/v1/status")?;
            let settled = status["receipts_unsettled"].as_u64() == Some(0) && status["epoch"].as_u64() > Some(0);
            Ok(settled.then_some(status))
        })?;
        // An address of a wallet that nobody used and that holds no ETH.
        let fresh = Person::new("fresh", &self.folder.join("homes"), &self.programs.surge, &outside.coordinator)?;
        ensure!(outside.ether(&fresh.address)? == 0, "the fresh address {} holds ETH", fresh.address);
        let ada = self.withdraw(&contributors[0], &fresh.address)?;
        let (tasks_validated, tasks_rejected) = plan::totals(&outside, &plans)?;
        let contributors =
            contributors.iter().map(|person| Contributor::read(person, &outside)).collect::<Result<Vec<_>>>()?;
        let statement = Statement {
            seed: self.args.seed,
            tasks_validated,
            tasks_rejected,
            picture,
            recipient_balance: outside.tokens(&token, &fresh.address)?,
            wallet_balance: outside.tokens(&token, &people[1].address)?,
            rpc: outside.rpc,
            coordinator: outside.coordinator,
            token,
            requester: people[0].address.clone(),
            recipient: fresh.address.clone(),
            earned: contributors[0].earned,
            claimed: amount(&ada.claim, "claimed")?,
            withdrawn: amount(&ada.withdrawal, "amount")?,
            epoch: status["epoch"].as_u64().unwrap_or_default(),
            epoch_tx: text(&status, "epoch_finalize_tx")?,
            claim_tx: text(&ada.claim, "tx")?,
            withdraw_tx: text(&ada.withdrawal, "tx")?,
            contributors,
            seconds: begun.elapsed().as_secs_f64(),
        };
        statement.check()?;
        people.push(fresh);
        Ok(statement)
    }

    /// Claims all, and sends half of it to `recipient`.
    fn withdraw(&self, person: &Person, recipient: &str) -> Result<Moved> {
        let claimable = amount(&person.ask(&["wallet", "balance"])?, "claimable")?;
        let claim = person.ask(&["wallet", "claim"])?;
        let half = statement::tokens(claimable / 2);
        let withdrawal = person.ask(&["wallet", "withdraw", &half, "--to", recipient])?;
        Ok(Moved { claim, withdrawal })
    }

    /// Chain, contracts, coordinator, and the requester's tokens.
    fn network(&self, stage: &mut Stage) -> Result<Outside> {
        step("network");
        let [chain_port, port] = [&self.ports[0], &self.ports[1]].map(Port::number);
        let outside = Outside::new(format!("http://127.0.0.1:{chain_port}"), format!("http://127.0.0.1:{port}"));
        let chain_port = chain_port.to_string();
        stage.enter("anvil", Command::new(&self.programs.anvil).args(["--port", &chain_port]))?;
        stage.wait_for("the chain's first answer", Duration::from_secs(30), || {
            Ok(outside.chain("eth_chainId", &json!([])).ok())
        })?;
        say(format_args!("chain: anvil at {}", outside.rpc));
        let home = self.folder.join("coordinator");
        let key = self.operator_key(&outside)?;
        run::output(
            without_proxy(&self.programs.coordinator)
                .args([
                    "deploy",
                    "--json",
                    "--rpc",
                    &outside.rpc,
                    "--name",
                    "local demo",
                    "--url",
                    &outside.coordinator,
                ])
                .args(["--fee-bps", FEE_BPS, "--challenge-seconds", "1", "--key-file"])
                .arg(&key)
                .arg("--home")
                .arg(&home),
        )?;
        stage.enter(
            "coordinator",
            without_proxy(&self.programs.coordinator)
                .args([
                    "run",
                    "--epoch-seconds",
                    "8",
                    "--replay-after-seconds",
                    "10",
                    "--highest-load",
                    "100",
                    "--key-file",
                ])
                .arg(&key)
                .args(["--listen", &format!("127.0.0.1:{port}"), "--home"])
                .arg(&home),
        )?;
        stage.wait_for("the coordinator's first answer", Duration::from_secs(30), || {
            Ok(outside.get::<Value>("/v1/network").ok())
        })?;
        say(format_args!("coordinator: {}", outside.coordinator));
        Ok(outside)
    }

    /// A fresh key for the operator's transactions, with ETH from the local chain's faucet.
    fn operator_key(&self, outside: &Outside) -> Result<PathBuf> {
        let file = self.folder.join("operator.key");
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
        std::fs::write(&file, hex::encode(secret))?;
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        let shown = run::output(without_proxy(&self.programs.coordinator).args(["address", "--key-file"]).arg(&file))?;
        outside.give_ether(shown.trim(), 100)?;
        Ok(file)
    }

    /// The requester gets tokens, pays a part into escrow, and submits her three jobs.
    fn jobs(&self, rosa: &Person, outside: &Outside) -> Result<Vec<Plan>> {
        step("requester");
        run::output(
            without_proxy(&self.programs.coordinator)
                .args(["mint", "--to", &rosa.address, "--amount", SUPPLY, "--key-file"])
                .arg(self.folder.join("operator.key"))
                .arg("--home")
                .arg(self.folder.join("coordinator")),
        )?;
        rosa.ask(&["wallet", "deposit", ESCROW])?;
        say(format_args!("rosa pays {ESCROW} tokens into the escrow contract at {}", outside.rpc));
        plan::submit_all(rosa, self.args.seed, &self.folder.join("jobs"))
    }

    /// A person with a little ETH for gas.
    fn person<'p>(&self, people: &'p mut Vec<Person>, name: &str, outside: &Outside) -> Result<&'p Person> {
        let person = Person::new(name, &self.folder.join("homes"), &self.programs.surge, &outside.coordinator)?;
        outside.give_ether(&person.address, 1)?;
        let vault = if person.uses_passphrase() { "a passphrase of this run" } else { "the system's keychain" };
        say(format_args!("{name}: wallet {} kept by {vault}", person.address));
        people.push(person);
        Ok(people.last().expect("it was just pushed"))
    }

    fn contributors(&self, stage: &mut Stage, people: &mut Vec<Person>, outside: &Outside) -> Result<()> {
        step("contributors");
        match self.seat {
            Seat::Display => say(format_args!("they wait until this display had no input for {IDLE_SECONDS} s")),
            Seat::None => {
                say(format_args!("no display: they run as headless contributors because this demo tells them so"))
            }
        }
        for name in ["ada", "ben", "mallory"] {
            let person = self.person(people, name, outside)?;
            self.start(stage, person)?;
        }
        say(format_args!("ada and ben are honest; mallory's worker returns flipped bytes"));
        Ok(())
    }

    fn start(&self, stage: &mut Stage, person: &Person) -> Result<()> {
        std::fs::write(person.home.join("settings.toml"), self.settings())?;
        let mut engine = person.command(&self.programs.surge);
        engine.arg("run");
        if person.name == "mallory" {
            engine.env("SURGE_WORKER", &self.programs.flipping_worker);
        }
        stage.enter(&person.name, &mut engine)?;
        if self.window && person.name == "ada" {
            // A window that finds no engine starts one, and there must be one only.
            stage.wait_for("ada's engine", Duration::from_secs(120), || Ok(person.ask(&["status"]).ok()))?;
            stage.enter("window", &mut person.command(&self.programs.desktop))?;
        }
        Ok(())
    }

    fn settings(&self) -> String {
        let presence = match self.seat {
            Seat::Display => "auto",
            Seat::None => "headless",
        };
        // A test bed: three engines and their network share this machine, and nobody waits for quiet fans.
        format!(
            "# The demo's settings.\npresence = \"{presence}\"\nidle_after_seconds = {IDLE_SECONDS}\nworkers = 1\n\
             gentle = false\nno_sensor_cpu_percent = 100\nother_load_percent = 100\nbattery_cpu_percent = 100\nbattery_min_percent = 0\n\
             share_machine = true\n"
        )
    }

    /// Fetches every output and checks it against what is known of it; the render job's becomes `picture`.
    fn results(&self, requester: &Person, plans: &[Plan], picture: &Path) -> Result<()> {
        step("results");
        for plan in plans {
            let finding = plan.check(requester, &self.folder.join("results"), picture)?;
            say(format_args!("{}: {finding}", plan.job));
        }
        Ok(())
    }
}

/// The answers of a claim and a withdrawal.
struct Moved {
    claim: Value,
    withdrawal: Value,
}
