//! The thread that keeps what the owner wants: it opens the home's database, and writes each wish there durably.
//!
//! A disk that is full or gone is tried again; until then the wish holds, and shells are told that it may be forgotten.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use tokio::sync::watch;

use super::inputs::{Input, Inputs, Obstacle};
use super::parts::Part;
use crate::clock::unix_now_ms;
use crate::store::{Store, StoreError};
use crate::timeline::Timeline;
use crate::view::{Case, Reason, ReasonCode};
use crate::wish::{Pause, Wish};

const RETRY: Duration = Duration::from_secs(2);

/// A wish to keep. The number grows with each.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keep {
    pub(super) wish: Wish,
    pub(super) number: u64,
}

/// The home's database, open.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) store: Arc<Store>,
    pub(super) timeline: Timeline,
}

/// How far the wishes are kept.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept {
    /// The newest wish that is on the disk.
    pub(super) number: u64,
    /// Why a newer one is not.
    pub(super) trouble: Option<Reason>,
}

/// Where the thread's news goes.
#[derive(Debug)]
pub(super) struct Outputs {
    pub(super) inputs: Inputs,
    pub(super) disk: watch::Sender<Option<Arc<Disk>>>,
    pub(super) kept: watch::Sender<Kept>,
}

/// Keeps until nobody has anything to keep any more.
pub(super) fn run(part: &Part, path: &Path, inbox: &Receiver<Keep>, outputs: &Outputs) {
    let mut disk: Option<Arc<Disk>> = None;
    let mut pending: Option<Keep> = None;
    loop {
        part.check();
        if disk.is_none() {
            disk = open(path, outputs);
        }
        if let (Some(disk), Some(Keep { wish, number })) = (&disk, pending) {
            match disk.store.set_wish(wish) {
                Ok(()) => {
                    pending = None;
                    outputs.kept.send_replace(Kept { number, trouble: None });
                }
                Err(error) => not_kept(&error, outputs),
            }
        }
        let idle = disk.is_some() && pending.is_none();
        let heard =
            if idle { inbox.recv().map_err(|_| RecvTimeoutError::Disconnected) } else { inbox.recv_timeout(RETRY) };
        match heard {
            Ok(keep) => pending = Some(keep),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn open(path: &Path, outputs: &Outputs) -> Option<Arc<Disk>> {
    let opened = Store::open(path).and_then(|store| Ok((store, Timeline::open(path, unix_now_ms())?)));
    let (store, timeline) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            let reason = unusable(&error);
            outputs.inputs.send(Input::Obstacle(Obstacle::Disk, Some(reason)));
            return None;
        }
    };
    let wish = store.wish().unwrap_or_else(|error| {
        tracing::error!(%error, "What the owner wanted can't be read: paused until resumed");
        Wish::Pause(Pause::Open)
    });
    let disk = Arc::new(Disk { store: Arc::new(store), timeline });
    outputs.disk.send_replace(Some(Arc::clone(&disk)));
    outputs.inputs.send(Input::Obstacle(Obstacle::Disk, None));
    outputs.inputs.send(Input::Restored(wish));
    Some(disk)
}

/// Why the database can't be used.
fn unusable(error: &StoreError) -> Reason {
    let code = if error.disk_full() { ReasonCode::DiskFull } else { ReasonCode::HomeUnusable };
    Reason::new(code).said(told(error))
}

fn told(error: &StoreError) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    format!("{error}{}", cause.unwrap_or_default())
}

fn not_kept(error: &StoreError, outputs: &Outputs) {
    let reason = Reason::new(ReasonCode::HomeUnusable).case(Case::NotKept).said(told(error));
    outputs.kept.send_if_modified(|kept| {
        let first = kept.trouble.replace(reason).is_none();
        if first {
            tracing::warn!(%error, "The owner's decision holds, but would be forgotten at the next start; trying again");
        }
        first
    });
}
