//! Replays through the same supervisor and worker as contributors use.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use surge_protocol::Digest;
use surge_protocol::task::TaskSpec;
use surge_supervisor::{Budget, ClassError, CodeCache, Config, Finished, Supervisor, Task, runtime_class};
use thiserror::Error;

use super::{Replay, ReplayError};
use crate::blobs::Blobs;

/// Why there can be no replays.
#[derive(Debug, Error)]
pub enum StartError {
    #[error(transparent)]
    Class(#[from] ClassError),
    #[error(transparent)]
    Supervisor(#[from] surge_supervisor::StartError),
    #[error("the folder of compiled code can't be used: {0}")]
    Code(#[source] std::io::Error),
}

/// A worker program and its class.
#[derive(Debug)]
pub struct WorkerReplay {
    supervisor: Supervisor,
    class: String,
}

impl WorkerReplay {
    /// The worker at `path`, with compiled code kept in the folder `code`.
    ///
    /// # Errors
    /// When it is no worker that runs here, or the folder can't be used.
    pub fn start(path: &Path, code: &Path) -> Result<Self, StartError> {
        let class = runtime_class(path)?;
        let code = Some(Arc::new(CodeCache::open(code).map_err(StartError::Code)?));
        let supervisor =
            Supervisor::start(Config { code, runtime_class: Some(class.clone()), ..Config::new(path.to_owned()) })?;
        supervisor.set_budget(Budget::ALL);
        Ok(Self { supervisor, class })
    }
}

impl Replay for WorkerReplay {
    fn runtime_class(&self) -> &str {
        &self.class
    }

    fn run<'a>(&'a self, spec: TaskSpec, blobs: &'a Blobs) -> BoxFuture<'a, Result<Digest, ReplayError>> {
        async move {
            let task = load(spec, blobs).await?;
            let (end, ended) = tokio::sync::oneshot::channel();
            let worker = self.supervisor.run_then(task, 0, |finished| {
                // Nobody listens any more when the coordinator stops.
                let _ = end.send(finished);
            });
            let kill = Kill(&self.supervisor, Some(worker));
            let finished = ended.await;
            kill.disarm();
            judge(finished.ok())
        }
        .boxed()
    }
}

/// Kills the worker when nobody waits for it any more.
struct Kill<'a>(&'a Supervisor, Option<surge_supervisor::WorkerId>);

impl Kill<'_> {
    fn disarm(mut self) {
        self.1 = None;
    }
}

impl Drop for Kill<'_> {
    fn drop(&mut self) {
        if let Some(worker) = self.1.take() {
            self.0.kill(worker);
        }
    }
}

fn judge(finished: Option<Finished>) -> Result<Digest, ReplayError> {
    let Some(finished) = finished else {
        let (code, detail) = ("killed".into(), "the supervisor stopped".into());
        return Err(ReplayError::NoVote { outcome: "host", code, detail });
    };
    if finished.outcome.votes(&finished.code) {
        return Ok(finished.digest);
    }
    let (code, detail) = (finished.code.to_string(), finished.detail);
    Err(ReplayError::NoVote { outcome: finished.outcome.name(), code, detail })
}

/// The blobs were verified when they were uploaded; their folder is the coordinator's own.
async fn load(spec: TaskSpec, blobs: &Blobs) -> Result<Task, ReplayError> {
    let module = blobs.path(spec.module.digest)?;
    let stdin = blobs.path(spec.stdin.digest)?;
    let data = spec.data.iter().map(|set| Ok((set.name.clone(), blobs.path(set.digest)?)));
    let data = data.collect::<Result<Vec<_>, ReplayError>>()?;
    let read = tokio::task::spawn_blocking(move || {
        let open = |(name, path)| Ok((name, Arc::new(File::open(path)?)));
        let data = data.into_iter().map(open).collect::<std::io::Result<Vec<_>>>()?;
        Ok(Task {
            args: spec.args,
            module: std::fs::read(module)?.into(),
            stdin: std::fs::read(stdin)?.into(),
            data,
            limits: spec.limits,
            meter: spec.meter,
            seed: spec.seed,
            checkpoints: None,
        })
    });
    read.await.unwrap_or_else(|_| Err(std::io::Error::other("reading was interrupted").into()))
}
