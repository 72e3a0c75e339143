//! The sample jobs as their requester sees them: inputs by seed, a check of what came back, and the modules' build.
//!
//! It knows nothing of how a job is dispatched or paid.

mod align;
mod build;
mod dice;
mod manifest;
mod mersenne;
mod plan;
mod render;
mod shelf;
mod trials;
mod zig;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

pub(crate) use manifest::fresh;
use plan::Plan;

/// The sample jobs, by the name of their folder and module.
pub(crate) const NAMES: &[&str] = &["mersenne", "render", "align"];

/// Rebuilds the modules from source and checks them in, those that the runtime is tested with too; with `check`, runs
/// the jobs' own tests and compares the behaviour of fresh and checked-in modules instead, and changes nothing.
///
/// # Errors
/// When no toolchain for wasm32-wasip1 is found, a build or a test fails, or a behaviour differs.
pub(crate) fn run(check: bool) -> Result<()> {
    if check {
        fresh()?;
        build::test()?;
    }
    for shelf in shelf::ALL {
        let built = build::build(shelf)?;
        if check {
            build::compare(shelf, &built)?;
        } else {
            manifest::check_in(shelf, &built)?;
        }
    }
    Ok(())
}

/// Writes the inputs of `job` for `seed` and a `job.toml` for `surge submit` into `folder`; returns the latter's path.
///
/// # Errors
/// When the job is unknown or the folder can't be written.
pub(crate) fn write_plan(job: &str, seed: u64, folder: &Path) -> Result<PathBuf> {
    plan(job, seed)?.write(seed, folder)
}

/// Checks the outputs of all tasks of `job` for `seed`, in the tasks' order, against what is known of the answers, and says
/// in a sentence what was found. `render`'s tiles are assembled into a PNG at `picture`.
///
/// # Errors
/// With the first task that is wrong, and how.
pub(crate) fn check(job: &str, seed: u64, outputs: &[Vec<u8>], picture: &Path) -> Result<String> {
    let tasks = plan(job, seed)?.inputs.len();
    ensure!(outputs.len() == tasks, "{job} has {tasks} tasks, and {} outputs came back", outputs.len());
    let found = match job {
        "mersenne" => mersenne::check(seed, outputs),
        "render" => render::check(seed, outputs, picture),
        _ => align::check(seed, outputs),
    };
    found.with_context(|| format!("{job} came back wrong"))
}

fn plan(job: &str, seed: u64) -> Result<Plan> {
    match job {
        "mersenne" => Ok(mersenne::plan(seed)),
        "render" => Ok(render::plan(seed)),
        "align" => align::plan(seed),
        _ => bail!("there is no sample job {job:?}; there are {}", NAMES.join(", ")),
    }
}

/// The folder of the sample jobs.
fn folder() -> PathBuf {
    shelf::JOBS.sources()
}

/// A job's checked-in module.
fn module(job: &str) -> PathBuf {
    shelf::JOBS.module(job)
}
