//! The loop that looks at what falls due by itself: leases, deadlines, tasks that nobody takes.

use std::sync::Arc;

use surge_protocol::api::TaskId;
use tokio::sync::mpsc::UnboundedSender;

use crate::coordinator::Coordinator;
use crate::error::Result;

/// Sweeps until the coordinator stops; tasks to compute here go to `replays`.
pub(crate) async fn run(coordinator: Arc<Coordinator>, replays: UnboundedSender<TaskId>) {
    loop {
        if let Err(error) = sweep(&coordinator, &replays).await {
            tracing::warn!(%error, "A sweep was not stored; the next one repeats it");
        }
        let next = coordinator.now().saturating_add(coordinator.rules.sweep_every);
        tokio::select! {
            () = coordinator.world.clock.sleep_until(next) => {}
            () = coordinator.stopped() => return,
        }
    }
}

async fn sweep(coordinator: &Arc<Coordinator>, replays: &UnboundedSender<TaskId>) -> Result<()> {
    let now = coordinator.now();
    let due = coordinator.board().sweep(now);
    for (task, reason) in due.replay {
        tracing::debug!(%task, ?reason, "The coordinator computes a task itself");
        // The receiver ends with the coordinator only.
        let _ = replays.send(task);
    }
    let expired = due.expired.len();
    if expired > 0 {
        tracing::info!(expired, "Leases expired; their tasks wait again");
        coordinator.changed();
        coordinator.store.end_leases(due.expired).await?;
    }
    for task in due.hopeless {
        give_up(coordinator, task).await?;
    }
    Ok(())
}

/// Ends a task that nobody can validate.
pub(crate) async fn give_up(coordinator: &Arc<Coordinator>, task: TaskId) -> Result<()> {
    let ended = coordinator.store.fail_task(task).await?;
    coordinator.board().close(task, coordinator.now());
    if ended.is_some() {
        tracing::info!(%task, "A task failed; its price is not spent");
    }
    coordinator.changed();
    Ok(())
}
