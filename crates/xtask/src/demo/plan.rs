//! The requester's three jobs: submitted, followed, fetched and checked against what is known of their answers.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::outside::Outside;
use super::person::{Person, text};
use crate::jobs;
use crate::run::say;

/// A submitted job.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) job: &'static str,
    id: String,
    seed: u64,
}

/// How far a job is.
#[derive(Debug)]
pub(crate) struct Progress {
    pub(crate) name: &'static str,
    pub(crate) validated: u64,
    pub(crate) tasks: u64,
    pub(crate) done: bool,
}

/// Submits every sample job with inputs of `seed`.
pub(crate) fn submit_all(requester: &Person, seed: u64, folder: &Path) -> Result<Vec<Plan>> {
    jobs::NAMES
        .iter()
        .map(|job| {
            let description = jobs::write_plan(job, seed, &folder.join(job))?;
            let path = description.to_str().context("the repository's path is not text")?;
            let answer = requester.ask(&["submit", path])?;
            say(format_args!("{job}: {} tasks submitted", answer["tasks"]));
            Ok(Plan { job, id: text(&answer, "job")?, seed })
        })
        .collect()
}

impl Plan {
    pub(crate) fn progress(&self, outside: &Outside) -> Result<Progress> {
        let status = self.status(outside)?;
        let number = |key: &str| status[key].as_u64().with_context(|| format!("no {key} in {status}"));
        let done = match status["state"].as_str() {
            Some("running") => false,
            Some("done") => true,
            _ => bail!("job {} ended badly: {status}", self.job),
        };
        Ok(Progress { name: self.job, validated: number("validated")?, tasks: number("tasks")?, done })
    }

    fn status(&self, outside: &Outside) -> Result<Value> {
        outside.get(&format!("/v1/jobs/{}", self.id))
    }

    /// Fetches the outputs as the requester and checks them. Returns the finding in a sentence.
    pub(crate) fn check(&self, requester: &Person, folder: &Path, picture: &Path) -> Result<String> {
        let folder = folder.join(self.job);
        let out = folder.to_str().context("the target folder's path is not text")?;
        requester.ask(&["job", "fetch", &self.id, "--out", out])?;
        let mut files: Vec<_> = fs::read_dir(&folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
        files.sort();
        let outputs = files.iter().map(fs::read).collect::<Result<Vec<_>, _>>()?;
        jobs::check(self.job, self.seed, &outputs, picture)
    }
}

/// Validated tasks and rejected results of all jobs.
pub(crate) fn totals(outside: &Outside, plans: &[Plan]) -> Result<(u64, u64)> {
    plans.iter().try_fold((0, 0), |(validated, rejected), plan| {
        let status = plan.status(outside)?;
        let number = |key: &str| status[key].as_u64().with_context(|| format!("no {key} in {status}"));
        Ok((validated + number("validated")?, rejected + number("rejected")?))
    })
}
