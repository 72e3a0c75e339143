//! The ways that commands take: to the decision loop, to the thread of the files, or to the end of the engine.

use std::sync::mpsc::Sender;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use crate::engine::{Input, Inputs, Order};
use crate::view::{Case, Command, Reason, ReasonCode, Snapshot};

/// How long files are waited for whose disk hangs.
const FILES_WITHIN: Duration = Duration::from_secs(2);

/// Where commands go.
#[derive(Debug, Clone)]
pub(crate) struct Orders {
    pub(crate) inputs: Inputs,
    pub(crate) files: Sender<Order>,
    pub(crate) stop: mpsc::UnboundedSender<()>,
}

impl Orders {
    /// Obeys, and returns the state after the command; `None` when the engine is stopping.
    pub(super) async fn obey(&self, command: Command, now: &watch::Receiver<Snapshot>) -> Option<Snapshot> {
        match command {
            Command::Stop => {
                // It may be stopping already.
                let _ = self.stop.send(());
                Some(now.borrow().clone())
            }
            Command::Reload => self.reload().await,
            Command::Pause { .. } | Command::PauseUntil { .. } | Command::Finish | Command::Resume => {
                self.decide(command).await
            }
        }
    }

    /// The files pass the command on when they have been read. A disk that hangs is not waited for.
    async fn reload(&self) -> Option<Snapshot> {
        let (answer, mut answered) = oneshot::channel();
        self.files.send(Order { command: Command::Reload, answer }).ok()?;
        if let Ok(answered) = tokio::time::timeout(FILES_WITHIN, &mut answered).await {
            return answered.ok();
        }
        let mut now = self.decide(Command::Reload).await?;
        now.notices.push(Reason::new(ReasonCode::HomeUnusable).case(Case::NotRead));
        Some(now)
    }

    async fn decide(&self, command: Command) -> Option<Snapshot> {
        let (answer, answered) = oneshot::channel();
        self.inputs.send(Input::Order(Order { command, answer }));
        answered.await.ok()
    }
}
