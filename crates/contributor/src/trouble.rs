//! What stands in the way of work besides the gate: the line, the disk, the worker. Each of them has one current reason.

use std::sync::{Mutex, PoisonError};

use crate::blobs::BlobError;
use crate::link::LinkError;
use crate::store::StoreError;
use crate::view::{Case, Reason, ReasonCode};

/// Where a reason comes from; its order is the order in which reasons are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// Results and leases, which must not be lost.
    Store,
    /// Modules and data, which can be fetched again.
    Cache,
    Worker,
    Line,
}

/// The current reasons of all parts.
#[derive(Debug, Default)]
pub(crate) struct Troubles(Mutex<Vec<(Part, Reason)>>);

impl Troubles {
    /// Sets a part's reason. Returns whether it is another kind of trouble than before, and so worth a log line.
    pub(crate) fn set(&self, part: Part, reason: Reason) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.iter().position(|(which, _)| *which == part).map(|at| all.remove(at));
        let news = known.is_none_or(|(_, before)| before.code != reason.code);
        all.push((part, reason));
        all.sort_by_key(|(which, _)| *which);
        news
    }

    pub(crate) fn clear(&self, part: Part) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|(which, _)| *which != part);
    }

    /// All reasons, most important first. Where two parts have the same trouble, a full disk for example, it is told once.
    pub(crate) fn reasons(&self) -> Vec<Reason> {
        let mut reasons: Vec<Reason> = Vec::new();
        for (_, reason) in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            if reasons.iter().all(|told| told.code != reason.code) {
                reasons.push(reason.clone());
            }
        }
        reasons
    }
}

pub(crate) fn no_work(until: u64) -> Reason {
    Reason::new(ReasonCode::NoWork).until(until)
}

pub(crate) fn of_link(error: &LinkError, until: u64) -> Reason {
    let reason = match error {
        LinkError::Unreachable(silence) if silence.code != "coordinator_unreachable" => {
            Reason::new(ReasonCode::CoordinatorUnreachable).case(Case::Proxy)
        }
        LinkError::Unreachable(_) | LinkError::Trouble { .. } => Reason::new(ReasonCode::CoordinatorUnreachable),
        LinkError::Refused { code, .. } if code == "stale_signature" => {
            Reason::new(ReasonCode::CoordinatorRefused).case(Case::Clock)
        }
        LinkError::Refused { .. } => Reason::new(ReasonCode::CoordinatorRefused),
        LinkError::Blob(error) if error.is_local() => return cache_unusable(error),
        LinkError::Blob(_) => Reason::new(ReasonCode::CoordinatorUnreachable),
    };
    reason.said(error.to_string()).until(until)
}

/// A blob that this machine can't keep or read.
pub(crate) fn cache_unusable(error: &BlobError) -> Reason {
    if error.disk_full() {
        return disk_full(&in_full(error));
    }
    let reason = Reason::new(ReasonCode::CacheUnusable).said(in_full(error));
    if matches!(error, BlobError::NoRoom { .. }) { reason.case(Case::NoRoom) } else { reason }
}

/// The engine's database fails.
pub(crate) fn store_unusable(error: &StoreError) -> Reason {
    if error.disk_full() {
        return disk_full(&in_full(error));
    }
    Reason::new(ReasonCode::CacheUnusable).said(in_full(error))
}

fn disk_full(detail: &str) -> Reason {
    Reason::new(ReasonCode::DiskFull).said(detail)
}

/// An error with its causes, in one line.
fn in_full(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |told, cause| format!("{told}: {cause}"))
}

pub(crate) fn worker_broken(detail: &str, until: u64) -> Reason {
    Reason::new(ReasonCode::WorkerBroken).said(detail).until(until)
}
