//! `cargo xtask soak`: the whole suite ten times in a row on built programs, in the conditions in which tests turn out to
//! depend on luck, and a table of what happened.
//!
//! What is finished is kept in `target/soak`, so that it goes on where it was interrupted. Other programs than those of the
//! runs before begin anew: ten runs in a row are runs of one build.

mod log;
mod plan;
mod record;

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::run::{self, cargo, output, root, say, step, target};
use log::Outcome;
use plan::{Busy, Kind, PLAN};
use record::{Record, Run};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Forgets the runs that are finished
    #[arg(long)]
    restart: bool,
    /// Writes the table as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// A program that runs a command on a clone of a repository on a fresh machine: `PROGRAM [--user] REPOSITORY COMMAND…`.
    /// Without it the two runs from nothing are left out
    #[arg(long, value_name = "PROGRAM")]
    fresh_machine: Option<PathBuf>,
    /// What a run is, for a shell, in place of the whole suite
    #[arg(long, value_name = "COMMAND")]
    suite: Option<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let folder = target().join("soak");
    fs::create_dir_all(&folder).with_context(|| format!("{} can't be made", folder.display()))?;
    let lock = File::create(folder.join("lock"))?;
    ensure!(lock.try_lock().is_ok(), "another soak runs in {}", folder.display());
    step("build");
    let programs = match &args.suite {
        Some(suite) => suite.clone(),
        None => build()?,
    };
    let mut record = Record::open(&folder.join("state.json"), &programs, args.restart)?;
    let soak = Soak { args, folder: &folder };
    for (at, kind) in PLAN.into_iter().enumerate() {
        let number = at + 1;
        if record.has(number) {
            continue;
        }
        if kind.is_fresh() && args.fresh_machine.is_none() {
            say(format_args!("run {number} of {}, {}: left out, there is no --fresh-machine", PLAN.len(), kind.name()));
            continue;
        }
        step(&format!("run {number} of {}: {}", PLAN.len(), kind.name()));
        let run = soak.run(number, kind)?;
        say(format_args!("{}", run.line()));
        record.add(run)?;
    }
    println!("\n{}", record.table());
    if let Some(file) = &args.json {
        fs::write(file, record.figures()).with_context(|| format!("{} can't be written", file.display()))?;
    }
    let failed = record.failed();
    ensure!(failed == 0, "{failed} of {} runs failed; their logs are in {}", PLAN.len(), folder.display());
    Ok(())
}

struct Soak<'a> {
    args: &'a Args,
    folder: &'a Path,
}

impl Soak<'_> {
    /// One run, to its end.
    fn run(&self, number: usize, kind: Kind) -> Result<Run> {
        let log = self.folder.join(format!("{number:02}.log"));
        let file = File::create(&log).with_context(|| format!("{} can't be written", log.display()))?;
        let mut command = kind.command(&self.suite(kind), self.args.fresh_machine.as_deref());
        let busy = if kind == Kind::Busy { Some(Busy::start()?) } else { None };
        let begun = Instant::now();
        let status = command
            .current_dir(root())
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .status()
            .with_context(|| format!("could not start {command:?}"))?;
        drop(busy);
        let seconds = begun.elapsed().as_secs();
        let text = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
        let Outcome { tests, failures } = Outcome::read(&text, status, !kind.is_fresh());
        Ok(Run { number, kind: kind.name().to_owned(), seconds, tests, failures, log })
    }

    fn suite(&self, kind: Kind) -> Vec<String> {
        match &self.args.suite {
            Some(suite) => vec!["sh".to_owned(), "-c".to_owned(), suite.clone()],
            None if kind.is_fresh() => vec!["./x".to_owned(), "test".to_owned()],
            None => vec![own_program(), "test".to_owned(), "--built".to_owned()],
        }
    }
}

/// This program, also when cargo has put another file in its place.
fn own_program() -> String {
    format!("/proc/{}/exe", std::process::id())
}

/// Builds what the suite needs; says which programs these are.
fn build() -> Result<String> {
    crate::setup::everything()?;
    let selection = ["--workspace", "--all-targets", "--locked"];
    run::run(cargo(&["build"]).args(selection))?;
    let built = output(cargo(&["test"]).args(selection).args(["--no-run", "--message-format=json", "--quiet"]))?;
    let mut all = blake3::Hasher::new();
    for line in built.lines() {
        let message: Value = serde_json::from_str(line).context("cargo prints JSON")?;
        let Some(program) = message["executable"].as_str() else { continue };
        let about = fs::metadata(program).with_context(|| program.to_owned())?;
        all.update(format!("{program} {} {:?}\n", about.len(), about.modified()?).as_bytes());
    }
    if !output(Command::new("git").args(["status", "--porcelain"]).current_dir(root()))?.is_empty() {
        say(format_args!("there are changes that are not committed: a fresh machine gets what is committed"));
    }
    Ok(all.finalize().to_hex().to_string())
}

/// Keeps one core busy until standard input closes.
pub(crate) fn spin() -> Result<()> {
    std::thread::spawn(|| {
        // An error is an end as well.
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    loop {
        std::hint::spin_loop();
    }
}
