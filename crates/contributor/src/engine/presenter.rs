//! Shows what was decided: composes the snapshot, tells those who watch, notes the timeline, has the owner's wish kept,
//! and answers commands when that is done.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use surge_platform::load;
use surge_supervisor::WorkerStatus;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::attachment::Attached;
use super::decide::Claims;
use super::files::FilesView;
use super::inputs::Decided;
use super::keeper::{Disk, Keep, Kept};
use super::parts::Part;
use crate::control::{Audience, Reporters};
use crate::snapshot::Scene;
use crate::view::{Case, Reason, ReasonCode, Snapshot};
use crate::wish::Wish;

/// How long the answer to a command waits for the disk.
const KEPT_WITHIN: Duration = Duration::from_secs(2);

/// What the snapshot is made from besides the decision, and where it goes.
#[derive(Debug)]
pub(super) struct Presenter {
    pub(super) files: watch::Receiver<FilesView>,
    pub(super) attached: watch::Receiver<Option<Arc<Attached>>>,
    pub(super) disk: watch::Receiver<Option<Arc<Disk>>>,
    pub(super) kept: watch::Receiver<Kept>,
    pub(super) keeper: Sender<Keep>,
    pub(super) reporters: Reporters,
    pub(super) snapshots: watch::Sender<Snapshot>,
    pub(super) audience: Audience,
    pub(super) scene: Scene,
    pub(super) claims: Claims,
    pub(super) asked: Asked,
}

/// The wish that was handed to the keeper last.
#[derive(Debug)]
pub(super) struct Asked {
    wish: Option<Wish>,
    number: u64,
    at: Instant,
}

impl Default for Asked {
    fn default() -> Self {
        Self { wish: None, number: 0, at: Instant::now() }
    }
}

impl Presenter {
    /// Presents until the decision loop ends.
    pub(super) async fn run(mut self, part: Part, mut decided: UnboundedReceiver<Decided>) {
        while let Some(mut newest) = decided.recv().await {
            part.check();
            // What was decided meanwhile counts; whoever waits for an answer gets one.
            while let Ok(newer) = decided.try_recv() {
                let answers = std::mem::replace(&mut newest, newer).answers;
                newest.answers.extend(answers);
            }
            self.present(newest);
        }
        part.may_end();
    }

    fn present(&mut self, mut decided: Decided) {
        let answers = std::mem::take(&mut decided.answers);
        self.keep(decided.wish);
        let files = self.files.borrow().clone();
        let attached = self.attached.borrow().clone();
        let undelivered = match &*self.disk.borrow() {
            Some(disk) => disk.store.count_waiting().unwrap_or_default(),
            None => Vec::new(),
        };
        let mut snapshot = self.scene.compose(decided, &files, attached.as_deref(), &undelivered);
        snapshot.notices.extend(self.not_kept());
        snapshot.notices.extend(self.reporters.notices());
        self.look_at_memory(attached.as_deref());
        if let Some(disk) = &*self.disk.borrow() {
            disk.timeline.note(&snapshot);
        }
        self.audience.publish(&snapshot);
        for answer in answers {
            self.answer(answer, snapshot.clone());
        }
        self.snapshots.send_replace(snapshot);
    }

    /// Looks how much of what they may take the tasks in memory have.
    fn look_at_memory(&self, attached: Option<&Attached>) {
        let Some(work) = attached.map(|attached| &attached.work) else { return self.claims.set(0, 0) };
        let workers = work.supervisor.workers();
        let open = |worker: &WorkerStatus| work.memory_limit().saturating_sub(load::resident_bytes(worker.pid));
        let bytes = workers.iter().map(open).fold(0, u64::saturating_add);
        self.claims.set(bytes, u32::try_from(workers.len()).unwrap_or(u32::MAX));
    }

    /// Has a new wish kept.
    fn keep(&mut self, wish: Option<Wish>) {
        let Some(wish) = wish.filter(|wish| self.asked.wish != Some(*wish)) else { return };
        self.asked = Asked { wish: Some(wish), number: self.asked.number + 1, at: Instant::now() };
        // The keeper's end ends the engine.
        let _ = self.keeper.send(Keep { wish, number: self.asked.number });
    }

    /// That the newest wish is not on the disk, when it should be by now.
    fn not_kept(&self) -> Option<Reason> {
        let kept = self.kept.borrow();
        let late = kept.number < self.asked.number && self.asked.at.elapsed() >= KEPT_WITHIN;
        kept.trouble.clone().or_else(|| late.then(silent))
    }

    /// Answers with `snapshot` as soon as the newest wish is on the disk, or with a notice when it does not get there.
    fn answer(&self, answer: oneshot::Sender<Snapshot>, mut snapshot: Snapshot) {
        let (number, mut kept) = (self.asked.number, self.kept.clone());
        tokio::spawn(async move {
            let settled = kept.wait_for(|kept| kept.number >= number || kept.trouble.is_some());
            let trouble = match tokio::time::timeout(KEPT_WITHIN, settled).await {
                Ok(Ok(kept)) => kept.trouble.clone(),
                Ok(Err(_)) | Err(_) => Some(silent()),
            };
            if let Some(trouble) = trouble.filter(|it| snapshot.notices.iter().all(|notice| notice.code != it.code)) {
                snapshot.notices.push(trouble);
            }
            // Whoever asked may have gone.
            let _ = answer.send(snapshot);
        });
    }
}

/// The disk does not answer.
fn silent() -> Reason {
    Reason::new(ReasonCode::HomeUnusable).case(Case::NotKept)
}
