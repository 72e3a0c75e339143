//! Waits for a reason to end, and ends the engine in order: work is held, shells are told, tasks are given back, and what
//! the owner wants is on the disk. No step waits for ever.

use std::sync::Arc;
use std::time::Duration;

use surge_platform::lock::{FileLock, MachineLock};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::End;
use super::attachment::{Attached, end_orphan};
use super::files::Target;
use super::inputs::{Input, Inputs};
use super::parts::{Gone, Parts};
use crate::blocking::blocking;
use crate::control::Control;
use crate::locks;
use crate::setup::SetupError;

/// How long tasks may take to be given back, workers to be gone, and the last line of the timeline to be written.
const WORK_WITHIN: Duration = Duration::from_secs(15);
const DISK_WITHIN: Duration = Duration::from_secs(2);

/// All that has to end.
pub(super) struct Running {
    pub(super) exit_when_not_set_up: bool,
    pub(super) parts: Parts,
    pub(super) gone: mpsc::UnboundedReceiver<Gone>,
    pub(super) stop: mpsc::UnboundedReceiver<()>,
    pub(super) inputs: Inputs,
    pub(super) target: watch::Receiver<Target>,
    pub(super) broken: watch::Receiver<Option<Arc<SetupError>>>,
    pub(super) control: Control,
    /// Its drop lets the attachment end.
    pub(super) work_may_end: watch::Sender<()>,
    pub(super) attachment: JoinHandle<()>,
    pub(super) attached: watch::Receiver<Option<Arc<Attached>>>,
    pub(super) presenter: JoinHandle<()>,
    pub(super) keeper_ended: oneshot::Receiver<()>,
    pub(super) locks: (FileLock, Option<MachineLock>),
}

impl Running {
    /// Runs until something ends the engine, and ends it.
    pub(super) async fn run(mut self) -> End {
        let mut home = self.target.clone();
        let end = tokio::select! {
            _ = self.stop.recv() => End::Asked,
            Some(Gone(part)) = self.gone.recv() => End::Broken(part),
            // Where the watcher is gone instead, its part says so.
            Ok(_) = home.wait_for(|target| matches!(target, Target::HomeGone)) => End::HomeGone,
            error = not_set_up(&mut self.target, &mut self.broken), if self.exit_when_not_set_up => End::NotSetUp(error),
        };
        if let End::Broken(part) = &end {
            tracing::error!(part, "A part of the engine has ended: the engine ends");
        }
        if matches!(end, End::HomeGone) {
            tracing::error!("The home was removed or replaced: the engine ends");
        }
        self.finish().await;
        end
    }

    async fn finish(mut self) {
        self.parts.end();
        // All work is held: nobody hears of the owner from here on.
        self.inputs.send(Input::Stop);
        // Whoever watches is told before anything takes its time.
        self.control.close().await;
        drop(self.work_may_end);
        if !matches!(timeout(WORK_WITHIN, &mut self.attachment).await, Ok(Ok(()))) {
            self.attachment.abort();
            let left = self.attached.borrow().clone();
            if let Some(left) = left {
                // It ends by the end of this process otherwise: workers die with it, and leases by themselves.
                let _ = timeout(WORK_WITHIN, end_orphan(&left)).await;
            }
        }
        drop(self.attached);
        // They end with the decision loop; a disk that hangs is not waited for.
        let _ = timeout(DISK_WITHIN, self.presenter).await;
        let _ = timeout(DISK_WITHIN, self.keeper_ended).await;
        let (home, machine) = self.locks;
        let left = blocking(move || {
            locks::leave(&home);
            drop((home, machine));
        });
        let _ = timeout(DISK_WITHIN, left).await;
    }
}

/// The first reason why no work is possible.
async fn not_set_up(
    target: &mut watch::Receiver<Target>,
    broken: &mut watch::Receiver<Option<Arc<SetupError>>>,
) -> Arc<SetupError> {
    loop {
        if let Target::Missing(error) = &*target.borrow_and_update() {
            return Arc::clone(error);
        }
        if let Some(error) = &*broken.borrow_and_update() {
            return Arc::clone(error);
        }
        tokio::select! {
            Ok(()) = target.changed() => {}
            Ok(()) = broken.changed() => {}
            // The parts that could tell are gone, which ends the engine.
            else => std::future::pending().await,
        }
    }
}
