//! Goes on where the engine before this one was.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use surge_protocol::Digest;
use surge_protocol::api::{Lease, LeaseId};

use super::{Driver, Parts, Work};
use crate::clock::unix_now;
use crate::plan::{Plan, Terms};
use crate::store::{Leases, Recorded, StoreError};
use crate::trouble::{Part, store_unusable};

/// Tasks that are asked for before there is a worker for them.
const PREFETCH: u32 = 1;

/// Builds the work loop on what the engine before left for this network: its leases, and its results that wait for
/// delivery. Blocks while it reads. From then on [`Work::begun`] counts the tasks that can go on from a checkpoint, before
/// anything is decided.
///
/// Checkpoints that belong to no lease of any network are removed, but only when every lease could be read.
pub(crate) fn recover(parts: Parts) -> (Arc<Work>, Driver) {
    let (work, clock, inbox) = Work::new(parts);
    if let Err(error) = work.store.claim() {
        tell(&work, &error, "What belongs to this network can't be looked up");
    }
    let leases = work.store.recorded();
    if let Ok(Leases { recorded, kept }) = &leases {
        let known = recorded.iter().map(|recorded| recorded.lease.lease).chain(kept.iter().copied()).collect();
        remove_orphans(&work.checkpoints, &known);
    }
    let Leases { recorded, .. } = leases.unwrap_or_else(|error| {
        tell(&work, &error, "The leases that ran can't be read");
        Leases::default()
    });
    let waiting = work.store.waiting().unwrap_or_else(|error| {
        tell(&work, &error, "The finished results can't be read");
        Vec::new()
    });
    let now = unix_now();
    let held = recorded.iter().map(|recorded| recovered(&work, recorded, now)).collect();
    let waiting = waiting.iter().map(|waiting| waiting.signed.result.lease).collect();
    let plan = Plan::new(PREFETCH, held, waiting);
    let work = Arc::new(work);
    let mut driver = Driver::new(Arc::clone(&work), plan, clock, inbox);
    for Recorded { lease, .. } in recorded {
        tracing::info!(job = %lease.job_name, index = lease.index, lease = %lease.lease, "A task of the engine before");
        driver.admit(lease);
    }
    (work, driver)
}

fn tell(work: &Work, error: &StoreError, what: &str) {
    tracing::error!(%error, "{what}");
    work.troubles.set(Part::Store, store_unusable(error));
}

/// Removes folders in `checkpoints` that belong to no lease.
fn remove_orphans(checkpoints: &Path, known: &HashSet<LeaseId>) {
    for entry in std::fs::read_dir(checkpoints).into_iter().flatten().flatten() {
        // What has another name is not ours.
        let lease = entry.file_name().to_str().and_then(|name| name.parse::<Digest>().ok());
        if lease.is_some_and(|lease| !known.contains(&lease)) {
            // It costs space, nothing else.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

fn has_checkpoint(work: &Work, lease: LeaseId) -> bool {
    std::fs::read_dir(work.checkpoints_of(lease)).is_ok_and(|mut files| files.next().is_some())
}

pub(super) fn terms(lease: &Lease) -> Terms {
    Terms {
        lease: lease.lease,
        job: lease.job,
        limits: lease.spec.limits,
        expires_in: lease.expires_in_seconds.saturating_mul(1_000),
        deadline_in: Some(lease.deadline_in_seconds.saturating_mul(1_000)),
        begun: false,
    }
}

/// The terms of a lease of the engine before, as far as this machine's clock can be believed.
fn recovered(work: &Work, recorded: &Recorded, now: u64) -> Terms {
    let left = |until: u64| until.saturating_sub(now).saturating_mul(1_000);
    // A deadline that is over may also be a clock that is wrong: the coordinator knows.
    let deadline_in = Some(left(recorded.deadline)).filter(|left| *left > 0);
    // A record from the future has another clock.
    let expires_in = left(recorded.expires_at).min(recorded.lease.expires_in_seconds.saturating_mul(1_000));
    let begun = has_checkpoint(work, recorded.lease.lease);
    Terms { expires_in, deadline_in, begun, ..terms(&recorded.lease) }
}
