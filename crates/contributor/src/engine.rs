//! Starts everything, and the one loop that decides: presence, commands and time in, decisions and snapshots out.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use surge_platform::lock::{FileLock, LockError, MachineLock};
use surge_platform::presence::{Presence, Watcher};
use surge_protocol::Amount;
use surge_protocol::api::Account;
use surge_supervisor::{CodeCache, Supervisor};
use thiserror::Error;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::blobs::{BlobError, Blobs};
use crate::clock::unix_now;
use crate::config::Config;
use crate::control::{self, Control};
use crate::gate::{Decision, Intent, Limits, decide};
use crate::link::{Introduction, Link};
use crate::locks;
use crate::snapshot::Scene;
use crate::store::{Store, StoreError};
use crate::timeline::Timeline;
use crate::view::{Command, Snapshot};
use crate::work::{self, Work};

/// How often the snapshot is renewed and time-bound decisions are looked at.
const TICK: Duration = Duration::from_secs(1);
/// What fetched modules and data may take on the disk, bytes.
const BLOB_CAP: u64 = 10 << 30;
/// How often the ledger's view of the payout account is read while there is work, and while there is none.
const ACCOUNT_EVERY: Duration = Duration::from_secs(5);
const ACCOUNT_EVERY_HELD: Duration = Duration::from_secs(120);

#[derive(Debug, Error)]
pub enum StartError {
    #[error("an engine runs already with the home {0}: look at it with `surge status`")]
    HomeInUse(std::path::PathBuf),
    #[error("another engine runs on this machine: stop it, or set share_machine = true in a test bed")]
    MachineInUse,
    #[error("a lock can't be taken")]
    Lock(#[source] std::io::Error),
    #[error("the home {0} can't be written")]
    Home(std::path::PathBuf, #[source] std::io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Blobs(#[from] BlobError),
    #[error(transparent)]
    Supervisor(#[from] surge_supervisor::StartError),
    #[error("the folder of compiled code can't be used")]
    Code(#[source] std::io::Error),
    #[error("the worker does not tell its runtime class")]
    Class(#[from] surge_supervisor::ClassError),
    #[error("this system's load can't be read")]
    Load(#[source] std::io::Error),
    #[error("the network client can't be set up")]
    Link(#[from] reqwest::Error),
    #[error("the presence watcher can't be started")]
    Presence(#[source] std::io::Error),
    #[error("the control socket can't be opened")]
    Control(#[source] std::io::Error),
}

impl StartError {
    /// A stable word for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::HomeInUse(_) => "home_in_use",
            Self::MachineInUse => "machine_in_use",
            Self::Lock(_) | Self::Home(..) => "home_unusable",
            Self::Store(_) => "store_unusable",
            Self::Blobs(_) | Self::Code(_) => "cache_unusable",
            Self::Supervisor(_) | Self::Class(_) => "worker_unusable",
            Self::Load(_) | Self::Presence(_) => "sensors_unusable",
            Self::Link(_) => "client_unusable",
            Self::Control(_) => "control_unusable",
        }
    }
}

/// A running engine. Both shells, tray and CLI, hold one of these and nothing else.
#[derive(Debug)]
pub struct Handle {
    snapshots: watch::Receiver<Snapshot>,
    commands: mpsc::Sender<Command>,
    stop: mpsc::Sender<()>,
    done: tokio::task::JoinHandle<()>,
}

impl Handle {
    /// The engine's state, renewed about once a second.
    #[must_use]
    pub fn snapshots(&self) -> watch::Receiver<Snapshot> {
        self.snapshots.clone()
    }

    /// Sends a command. The next snapshot shows its effect.
    pub fn send(&self, command: Command) {
        if self.commands.try_send(command).is_err() {
            tracing::warn!(?command, "The engine is stopping; a command was dropped");
        }
    }

    /// Stops: workers are killed, their tasks given back, finished results stay in the store.
    pub async fn shutdown(self) {
        let _ = self.stop.send(()).await;
        if let Err(error) = self.done.await {
            tracing::error!(%error, "The engine ended badly");
        }
    }
}

/// Starts the engine.
///
/// # Errors
/// When this home or machine has one already, or something it stands on can't be used.
pub async fn start(config: Config) -> Result<Handle, StartError> {
    let home = &config.paths.home;
    std::fs::create_dir_all(home).map_err(|error| StartError::Home(home.clone(), error))?;
    let locks = take_locks(&config)?;
    let worker = config.worker.clone();
    let class = tokio::task::spawn_blocking(move || surge_supervisor::runtime_class(&worker))
        .await
        .expect("asking for the class does not panic")?;
    let (presences, presence) = mpsc::unbounded_channel();
    let watcher = Watcher::start(config.settings.source(), config.settings.idle_after(), move |presence| {
        // Fails only when the engine is gone.
        let _ = presences.send(presence);
    })
    .map_err(StartError::Presence)?;
    let settings = &config.settings;
    let limits = Limits {
        idle_after: settings.idle_after(),
        workers: settings.max_workers(),
        share: f32::from(settings.cpu_percent) / 100.0,
    };
    let store = Store::open(&config.paths.store())?;
    let timeline = Timeline::open(&config.paths.store(), unix_now())?;
    let intent = store.intent()?;
    let unknown = Presence::Unknown("the first reading is not there yet".into());
    let decision = decide(&limits, &unknown, intent, unix_now(), Instant::now());
    let introduction = Introduction {
        payout: config.payout.clone(),
        cores: surge_platform::load::cores(),
        memory_bytes: surge_platform::load::memory_bytes(),
        engine: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let load = surge_platform::load::LoadMeter::new().map_err(StartError::Load)?;
    let work = Arc::new(Work {
        link: Link::new(config.network.clone(), config.device, introduction)?,
        store,
        blobs: Blobs::open(&config.paths.blobs(), BLOB_CAP)?,
        outputs: Blobs::open(&config.paths.outputs(), u64::MAX)?,
        checkpoints: config.paths.checkpoints(),
        checkpoint_every: config.checkpoint_every,
        supervisor: Supervisor::start(surge_supervisor::Config {
            lockdown: settings.lockdown(),
            code: Some(Arc::new(CodeCache::open(&config.paths.code()).map_err(StartError::Code)?)),
            ..surge_supervisor::Config::new(config.worker.clone())
        })?,
        runtime_class: class,
        memory_limit: settings.memory_mib << 20,
        gate: watch::Sender::new(decision),
        running: Mutex::default(),
        troubles: Default::default(),
        load: Mutex::new(load),
        keeping: Mutex::default(),
    });
    let (account, accounts) = watch::channel(None);
    let scene = Scene::new(&config.network, config.payout.payout, settings, watcher);
    let (snapshot, snapshots) = watch::channel(scene.snapshot(&work, intent, &[], None, Amount::ZERO));
    let (commands, inbox) = mpsc::channel(64);
    let control = control::listen(&config.paths, commands.clone(), snapshots.clone()).map_err(StartError::Control)?;
    let mut tasks = JoinSet::new();
    tasks.spawn(work::run(Arc::clone(&work)));
    tasks.spawn(watch_account(Arc::clone(&work), config.payout.payout, account));
    let (stop, stopped) = mpsc::channel(1);
    let engine = Engine {
        work,
        limits,
        intent,
        presence: unknown,
        scene,
        snapshot,
        accounts,
        timeline,
        lock_file: config.paths.engine_lock(),
        _locks: locks,
        _control: control,
    };
    let done = tokio::spawn(engine.run(presence, inbox, stopped, tasks));
    Ok(Handle { snapshots, commands, stop, done })
}

type Locks = (FileLock, Option<MachineLock>);

fn take_locks(config: &Config) -> Result<Locks, StartError> {
    let (home, killed) = locks::home(&config.paths.engine_lock()).map_err(|error| match error {
        LockError::Held => StartError::HomeInUse(config.paths.home.clone()),
        LockError::Io(error) => StartError::Lock(error),
    })?;
    if config.settings.share_machine {
        return Ok((home, None));
    }
    let machine = locks::machine(killed).map_err(|error| match error {
        LockError::Held => StartError::MachineInUse,
        LockError::Io(error) => StartError::Lock(error),
    })?;
    Ok((home, Some(machine)))
}

/// Reads the ledger's view of the payout account, for showing.
async fn watch_account(work: Arc<Work>, payout: surge_protocol::Address, account: watch::Sender<Option<Account>>) {
    loop {
        match work.link.account(payout).await {
            Ok(known) => {
                account.send_replace(Some(known));
            }
            Err(error) => tracing::debug!(%error, "Can't read the payout account"),
        }
        let every = match *work.gate.borrow() {
            Decision::Run(_) => ACCOUNT_EVERY,
            Decision::Hold(_) => ACCOUNT_EVERY_HELD,
        };
        let mut gate = work.gate.subscribe();
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            _ = gate.changed() => tokio::time::sleep(ACCOUNT_EVERY).await,
        }
    }
}

struct Engine {
    work: Arc<Work>,
    limits: Limits,
    intent: Intent,
    presence: Presence,
    scene: Scene,
    snapshot: watch::Sender<Snapshot>,
    accounts: watch::Receiver<Option<Account>>,
    timeline: Timeline,
    lock_file: std::path::PathBuf,
    _locks: Locks,
    _control: Control,
}

impl Engine {
    async fn run(
        mut self,
        mut presence: mpsc::UnboundedReceiver<Presence>,
        mut commands: mpsc::Receiver<Command>,
        mut stopped: mpsc::Receiver<()>,
        mut tasks: JoinSet<()>,
    ) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // In order of urgency: what stops work comes before what shows it.
            tokio::select! {
                biased;
                Some(change) = presence.recv() => self.presence = change,
                Some(command) = commands.recv() => self.obey(command),
                _ = stopped.recv() => break,
                Some(ended) = tasks.join_next() => tracing::error!(?ended, "A part of the engine ended"),
                _ = tick.tick() => {}
            }
            self.decide();
            self.show();
        }
        tasks.shutdown().await;
        work::stop(&self.work).await;
        locks::leave(&self.lock_file);
    }

    fn obey(&mut self, command: Command) {
        self.intent = match command {
            Command::Pause { seconds } => {
                Intent::Paused { until: seconds.map(|seconds| unix_now().saturating_add(seconds)) }
            }
            Command::Resume => Intent::Run,
        };
        tracing::info!(?command, "The owner decided");
        if let Err(error) = self.work.store.set_intent(self.intent) {
            tracing::warn!(%error, "The owner's decision holds, but will be forgotten at the next start");
        }
    }

    fn decide(&self) {
        let decision = decide(&self.limits, &self.presence, self.intent, unix_now(), Instant::now());
        if *self.work.gate.borrow() == decision {
            return;
        }
        match &decision {
            Decision::Run(budget) => tracing::info!(workers = budget.workers, share = budget.share, "Work may run"),
            Decision::Hold(reasons) => tracing::info!(reason = ?reasons[0].code, "Work is held"),
        }
        self.work.decide(decision);
    }

    fn show(&mut self) {
        let reasons = match &*self.work.gate.borrow() {
            Decision::Run(_) => Vec::new(),
            Decision::Hold(reasons) => reasons.clone(),
        };
        let account = self.accounts.borrow().clone();
        let today = account.as_ref().map_or(Amount::ZERO, |account| {
            let day = jiff::Zoned::now().date().to_string();
            self.work.store.credited_today(&day, account.credited).unwrap_or_default()
        });
        let snapshot = self.scene.snapshot(&self.work, self.intent, &reasons, account.as_ref(), today);
        self.timeline.note(&snapshot);
        self.snapshot.send_replace(snapshot);
    }
}
