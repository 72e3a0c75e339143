//! The work for one network: begun when the files say for whom, ended in order when they say something else.

use std::sync::Arc;
use std::time::Duration;

use surge_platform::load::Load;
use surge_platform::lock::LockPath;
use surge_protocol::Amount;
use surge_protocol::api::Account;
use surge_supervisor::{CodeCache, Supervisor};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use super::account;
use super::files::Target;
use super::inputs::{Input, Inputs, Obstacle, Workforce};
use super::keeper::Disk;
use super::parts::Part;
use crate::blobs::{BlobError, Blobs};
use crate::blocking::blocking;
use crate::config::{Config, device_key};
use crate::gate::Decision;
use crate::link::{Introduction, Link};
use crate::private;
use crate::settings::Settings;
use crate::setup::{Setup, SetupError};
use crate::store::NetworkStore;
use crate::view::{Reason, ReasonCode};
use crate::work::{self, BootClock, Driver, Parts, Work};

/// What fetched modules and data may take on the disk, bytes.
const BLOB_CAP: u64 = 10 << 30;
/// How long a disk that takes no result is left alone before the next try.
const DISK_PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait before trying again what this computer refused.
const RETRY: Duration = Duration::from_secs(5);

/// Work that is under way, for showing.
#[derive(Debug)]
pub(crate) struct Attached {
    /// 1 for the first of this engine, and so on.
    pub(crate) number: u64,
    pub(crate) work: Arc<Work>,
    pub(crate) account: watch::Receiver<Option<Known>>,
}

/// The payout account as the ledger told it last.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) account: Account,
    /// Credited since local midnight.
    pub(crate) today: Amount,
}

/// Why work could not begin.
#[derive(Debug, thiserror::Error)]
enum BeginError {
    #[error(transparent)]
    Setup(#[from] SetupError),
    #[error(transparent)]
    Blobs(#[from] BlobError),
    #[error("a folder of the home can't be used: {0}")]
    Folder(#[source] std::io::Error),
    #[error("this system's clock can't be read: {0}")]
    Clock(#[source] std::io::Error),
    /// What stands in the way of the lock-down that is asked for.
    #[error("{0}")]
    Lockdown(String),
    #[error(transparent)]
    LockdownUntold(#[from] surge_supervisor::LockdownUntold),
}

impl BeginError {
    fn reason(&self) -> Reason {
        let code = match self {
            Self::Setup(error) => return error.reason(),
            Self::Blobs(error) if error.disk_full() => ReasonCode::DiskFull,
            Self::Folder(error) if error.kind() == std::io::ErrorKind::StorageFull => ReasonCode::DiskFull,
            Self::Blobs(_) | Self::Folder(_) => ReasonCode::CacheUnusable,
            Self::Clock(_) => ReasonCode::InstallationBroken,
            Self::Lockdown(_) => ReasonCode::SandboxUnavailable,
            Self::LockdownUntold(_) => ReasonCode::WorkerBroken,
        };
        let reason = Reason::new(code).said(self.to_string());
        if code == ReasonCode::SandboxUnavailable { reason.set_by("sandbox") } else { reason }
    }
}

/// What this part listens to, and where its news goes.
#[derive(Debug)]
pub(super) struct Attachment {
    pub(super) config: Config,
    pub(super) lock: LockPath,
    pub(super) inputs: Inputs,
    pub(super) target: watch::Receiver<Target>,
    pub(super) disk: watch::Receiver<Option<Arc<Disk>>>,
    /// The load on which work was allowed to run; `None` while it is not.
    pub(super) load: watch::Receiver<Option<Load>>,
    pub(super) attached: watch::Sender<Option<Arc<Attached>>>,
    /// Why work for what the files say can't begin, where that is a matter of the installation.
    pub(super) broken: watch::Sender<Option<Arc<SetupError>>>,
    /// Its sender's end asks this part to end.
    pub(super) ending: watch::Receiver<()>,
    pub(super) number: u64,
}

impl Attachment {
    /// Works for whoever the files name, until the engine ends.
    pub(super) async fn run(mut self, part: Part) {
        loop {
            part.check();
            let target = self.target.borrow_and_update().clone();
            let disk = self.disk.borrow_and_update().clone();
            let tried = match (target, disk) {
                (Target::Ready(setup, settings), Some(disk)) => Some(self.work_for(setup, settings, disk).await),
                _ => None,
            };
            let retry = async {
                match &tried {
                    Some(Err(_)) => tokio::time::sleep(RETRY).await,
                    Some(Ok(())) | None => std::future::pending().await,
                }
            };
            if matches!(tried, Some(Ok(()))) {
                // It ended because something has changed, or because the engine ends.
                if self.ending.has_changed().is_err() {
                    return part.may_end();
                }
                continue;
            }
            tokio::select! {
                _ = self.target.changed() => {}
                _ = self.disk.changed() => {}
                () = retry => {}
                _ = self.ending.changed() => return part.may_end(),
            }
        }
    }

    /// Begins, and goes on until the files name somebody else or the engine ends.
    async fn work_for(&mut self, setup: Arc<Setup>, settings: Arc<Settings>, disk: Arc<Disk>) -> Result<(), ()> {
        let (config, lock, with, load) =
            (self.config.clone(), self.lock.clone(), Arc::clone(&setup), self.load.clone());
        let begun = blocking(move || begin(&config, lock, &with, &settings, &disk, load)).await;
        let reason = begun.as_ref().err().map(BeginError::reason);
        self.inputs.send(Input::Obstacle(Obstacle::Worker, reason));
        let (work, driver) = match begun {
            Ok(begun) => begun,
            Err(error) => {
                tracing::warn!(%error, "Work can't begin");
                if let BeginError::Setup(error) = error {
                    self.broken.send_replace(Some(Arc::new(error)));
                }
                return Err(());
            }
        };
        self.number += 1;
        let (known, account) = watch::channel(None);
        let attached = Attached { number: self.number, work: Arc::clone(&work), account };
        self.attached.send_replace(Some(Arc::new(attached)));
        self.hand_over(Some(Arc::clone(&work))).await;
        let mut tasks = JoinSet::new();
        tasks.spawn(driver.run());
        tasks.spawn(account::watch(Arc::clone(&work), setup.payout.payout, known));
        loop {
            tokio::select! {
                Some(ended) = tasks.join_next() => {
                    if let Err(error) = ended && error.is_panic() {
                        std::panic::resume_unwind(error.into_panic());
                    }
                    panic!("a task of the work loop has ended");
                }
                _ = self.target.changed() => {
                    let same = match &*self.target.borrow_and_update() {
                        Target::Ready(now, _) => now.same(&setup),
                        Target::Missing(_) | Target::Unread | Target::HomeGone => false,
                    };
                    if !same {
                        break;
                    }
                }
                _ = self.ending.changed() => break,
            }
        }
        tracing::info!(network = %setup.network.name, "Work for this network ends");
        self.hand_over(None).await;
        end(&work, &mut tasks).await;
        self.attached.send_replace(None);
        leave(work).await;
        Ok(())
    }

    /// Lets the decision loop know who carries out what it decides, and waits until it does. It waits for nobody.
    async fn hand_over(&self, work: Option<Arc<Work>>) {
        let (done, taken) = oneshot::channel();
        self.inputs.send(Input::Workforce(work.map(|work| work as Arc<dyn Workforce>), done));
        // The loop has ended, and nobody decides any more.
        let _ = taken.await;
    }
}

/// Ends all work in order: no task is computed any more, no new one is asked for, and what can't wait is given back.
async fn end(work: &Arc<Work>, tasks: &mut JoinSet<()>) {
    work.decide(Decision::Hold(Vec::new()));
    work::stop(work).await;
    tasks.shutdown().await;
}

/// Ends the work that is left when this part is gone and could not do so itself.
pub(super) async fn end_orphan(attached: &Attached) {
    end(&attached.work, &mut JoinSet::new()).await;
}

/// Waits until the last worker process is gone.
async fn leave(work: Arc<Work>) {
    // Whoever shows it lets go of it within a moment; the supervisor's end waits for its workers.
    blocking(move || drop(work)).await;
}

/// Makes all that work stands on, and takes over what the engine before left. Blocks while it does.
fn begin(
    config: &Config,
    lock: LockPath,
    setup: &Setup,
    settings: &Settings,
    disk: &Disk,
    load: watch::Receiver<Option<Load>>,
) -> Result<(Arc<Work>, Driver), BeginError> {
    let class = surge_supervisor::runtime_class(&setup.worker).map_err(SetupError::from)?;
    let probe = surge_supervisor::probe_lockdown(&setup.worker)?;
    if !probe.allows(settings.lockdown()) {
        return Err(BeginError::Lockdown(probe.missing));
    }
    let introduction = Introduction {
        payout: setup.payout.clone(),
        cores: surge_platform::load::cores(),
        memory_bytes: surge_platform::load::memory_bytes(),
        engine: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let device = device_key(&config.paths.device_key()).map_err(SetupError::from)?;
    let link = Link::new(setup.http.clone(), setup.network.clone(), device, introduction);
    let supervisor = Supervisor::start(surge_supervisor::Config {
        lockdown: settings.lockdown(),
        runtime_class: Some(class.clone()),
        code: Some(Arc::new(CodeCache::open(&config.paths.code()).map_err(BeginError::Folder)?)),
        ..surge_supervisor::Config::new(setup.worker.clone())
    });
    private::folder(&config.paths.checkpoints()).map_err(BeginError::Folder)?;
    Ok(work::recover(Parts {
        link: Box::new(link),
        lock,
        store: NetworkStore::new(Arc::clone(&disk.store), setup.network.clone(), setup.device),
        blobs: Blobs::open(&config.paths.blobs(), BLOB_CAP)?,
        outputs: Blobs::open(&config.paths.outputs(), u64::MAX)?,
        checkpoints: config.paths.checkpoints(),
        checkpoint_every: config.checkpoint_every,
        supervisor: Box::new(supervisor.map_err(SetupError::from)?),
        runtime_class: class,
        memory_limit: settings.memory_mib << 20,
        load,
        disk_patience: DISK_PATIENCE,
        clock: Box::new(BootClock::new().map_err(BeginError::Clock)?),
    }))
}
