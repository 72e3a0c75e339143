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
        LinkError::Unreachable(silence) | LinkError::Unanswered(silence)
            if silence.code != "coordinator_unreachable" =>
        {
            Reason::new(ReasonCode::CoordinatorUnreachable).case(Case::Proxy)
        }
        LinkError::Unreachable(_) | LinkError::Unanswered(_) | LinkError::Trouble { .. } => {
            Reason::new(ReasonCode::CoordinatorUnreachable)
        }
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
    let reason = Reason::new(ReasonCode::CacheUnusable).said(in_full(error));
    match error {
        error if error.disk_full() => disk_full(&in_full(error)),
        BlobError::NoRoom { .. } => reason.case(Case::NoRoom),
        _ => reason,
    }
}

/// The engine's database fails.
pub(crate) fn store_unusable(error: &StoreError) -> Reason {
    let code = if error.disk_full() { ReasonCode::DiskFull } else { ReasonCode::HomeUnusable };
    Reason::new(code).said(in_full(error))
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

/// Surge was updated while it ran: its worker is of another version.
pub(crate) fn worker_changed() -> Reason {
    Reason::new(ReasonCode::RestartNeeded).case(Case::Updated)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_parts_with_the_same_trouble_are_one_reason() {
        let troubles = Troubles::default();
        let full = |what| Reason::new(ReasonCode::DiskFull).said(what);
        assert!(troubles.set(Part::Cache, full("a download")));
        assert!(troubles.set(Part::Store, full("a result")));
        troubles.set(Part::Line, no_work(1));
        let told: Vec<_> = troubles.reasons().into_iter().map(|reason| (reason.code, reason.said)).collect();
        assert_eq!(told.len(), 2);
        assert_eq!(told[0], (ReasonCode::DiskFull, Some("a result".to_owned())));
        troubles.clear(Part::Store);
        assert_eq!(troubles.reasons()[0].said.as_deref(), Some("a download"));
    }
}
