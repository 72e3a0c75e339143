//! The runs that are finished, in a file that outlives an interruption, and the table of them.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::plan::PLAN;
use crate::run::say;

/// A finished run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Run {
    /// Its place in the plan, from 1.
    pub(super) number: usize,
    pub(super) kind: String,
    pub(super) seconds: u64,
    /// Rust tests that passed.
    pub(super) tests: u64,
    pub(super) failures: Vec<String>,
    pub(super) log: PathBuf,
}

impl Run {
    pub(super) fn line(&self) -> String {
        let end = if self.failures.is_empty() { "no failure".to_owned() } else { self.failures.join(", ") };
        format!("run {}, {}: {} tests in {} s; {end}", self.number, self.kind, self.tests, self.seconds)
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Record {
    #[serde(skip)]
    file: PathBuf,
    /// Which programs were run.
    programs: String,
    runs: Vec<Run>,
}

impl Record {
    /// The record in `file`, when it is of these `programs` and not to be forgotten; else an empty one.
    pub(super) fn open(file: &Path, programs: &str, restart: bool) -> Result<Self> {
        let empty = Self { file: file.to_owned(), programs: programs.to_owned(), runs: Vec::new() };
        let kept: Option<Self> = match fs::read(file) {
            Ok(text) if !restart => serde_json::from_slice(&text).ok(),
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("{} can't be read", file.display()));
            }
            _ => None,
        };
        Ok(match kept {
            Some(kept) if kept.programs == programs => {
                if !kept.runs.is_empty() {
                    say(format_args!("{} runs are finished, going on (--restart begins anew)", kept.runs.len()));
                }
                Self { file: file.to_owned(), ..kept }
            }
            Some(_) => {
                say(format_args!("the programs are others than those of the runs before: beginning anew"));
                empty
            }
            None => empty,
        })
    }

    pub(super) fn has(&self, number: usize) -> bool {
        self.runs.iter().any(|run| run.number == number)
    }

    /// Adds a run, and keeps all.
    pub(super) fn add(&mut self, run: Run) -> Result<()> {
        self.runs.push(run);
        self.runs.sort_by_key(|run| run.number);
        let new = self.file.with_extension("new");
        fs::write(&new, serde_json::to_vec_pretty(self)?)?;
        fs::rename(&new, &self.file).with_context(|| format!("{} can't be written", self.file.display()))
    }

    pub(super) fn failed(&self) -> usize {
        self.runs.iter().filter(|run| !run.failures.is_empty()).count()
    }

    /// For people.
    pub(super) fn table(&self) -> String {
        let mut table = "run  kind         seconds  tests  failures\n".to_owned();
        for (at, kind) in PLAN.into_iter().enumerate() {
            let number = at + 1;
            let run = self.runs.iter().find(|run| run.number == number);
            let (seconds, tests, end) = match run {
                None => ("-".to_owned(), "-".to_owned(), "left out".to_owned()),
                Some(run) => {
                    let end = if run.failures.is_empty() { "none".to_owned() } else { run.failures.join(", ") };
                    (run.seconds.to_string(), run.tests.to_string(), end)
                }
            };
            // Writing into a text can't fail.
            let _ = writeln!(table, "{number:>3}  {:<11}  {seconds:>7}  {tests:>5}  {end}", kind.name());
        }
        table
    }

    /// For programs, as JSON.
    pub(super) fn figures(&self) -> String {
        let passed = self.runs.len() - self.failed();
        let figures = json!({
            "bench": "soak", "planned": PLAN.len(), "passed": passed, "failed": self.failed(),
            "left_out": PLAN.len() - self.runs.len(), "runs": self.runs,
        });
        format!("{figures:#}\n")
    }
}
