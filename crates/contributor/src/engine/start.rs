//! Starts everything that an engine stands on, in the order in which a failure leaves the least behind.

use std::sync::Arc;
use std::time::Duration;

use surge_platform::awake::Awake;
use surge_platform::lock::LockError;
use surge_platform::sensors::{Pace, Sensors};
use surge_supervisor::{CodeCache, Supervisor};
use thiserror::Error;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::{Engine, Handle, Inputs, Locks, account, wanted};
use crate::blobs::{BlobError, Blobs};
use crate::clock::unix_now;
use crate::config::Config;
use crate::control;
use crate::gate::{Answer, Decision, GateMemory};
use crate::governor::Governor;
use crate::http::{self, HttpError};
use crate::link::{Introduction, Link};
use crate::locks;
use crate::private;
use crate::settings::{Machine, SettingsFile};
use crate::snapshot::Scene;
use crate::store::{Store, StoreError};
use crate::timeline::Timeline;
use crate::view::{Reason, ReasonCode};
use crate::work::{self, BootClock, Parts};

/// What fetched modules and data may take on the disk, bytes.
const BLOB_CAP: u64 = 10 << 30;
/// How long a disk that takes no result is left alone before the next try.
const DISK_PATIENCE: Duration = Duration::from_secs(5);

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
    #[error("the system refused a timer")]
    Timer(#[source] std::io::Error),
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("the sensors can't be started")]
    Sensors(#[source] std::io::Error),
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
            Self::Load(_) | Self::Timer(_) | Self::Sensors(_) => "sensors_unusable",
            Self::Http(error) => error.code(),
            Self::Control(_) => "control_unusable",
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
    let http = http::client(config.settings.extra_ca(&config.paths).as_deref())?;
    let worker = config.worker.clone();
    let class = tokio::task::spawn_blocking(move || surge_supervisor::runtime_class(&worker))
        .await
        .expect("asking for the class does not panic")?;
    let (settings, machine) = (config.settings.clone(), Machine::here());
    let limits = settings.limits(&machine);
    let (told, conditions) = watch::channel(None);
    let sensors = Sensors::start(wanted(&settings), move |conditions| {
        told.send_replace(Some(conditions));
    })
    .map_err(StartError::Sensors)?;
    let store = Store::open(&config.paths.store())?;
    let timeline = Timeline::open(&config.paths.store(), unix_now())?;
    let intent = store.intent()?;
    let introduction = Introduction {
        payout: config.payout.clone(),
        cores: surge_platform::load::cores(),
        memory_bytes: surge_platform::load::memory_bytes(),
        engine: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let load = surge_platform::load::LoadMeter::new().map_err(StartError::Load)?;
    private::folder(&config.paths.checkpoints())
        .map_err(|error| StartError::Home(config.paths.checkpoints(), error))?;
    let (work, driver) = work::recover(Parts {
        link: Box::new(Link::new(http, config.network.clone(), config.device, introduction)),
        store,
        blobs: Blobs::open(&config.paths.blobs(), BLOB_CAP)?,
        outputs: Blobs::open(&config.paths.outputs(), u64::MAX)?,
        checkpoints: config.paths.checkpoints(),
        checkpoint_every: config.checkpoint_every,
        supervisor: Box::new(Supervisor::start(surge_supervisor::Config {
            lockdown: settings.lockdown(),
            runtime_class: Some(class.clone()),
            code: Some(Arc::new(CodeCache::open(&config.paths.code()).map_err(StartError::Code)?)),
            ..surge_supervisor::Config::new(config.worker.clone())
        })?),
        runtime_class: class,
        memory_limit: settings.memory_mib << 20,
        load,
        disk_patience: DISK_PATIENCE,
        clock: Box::new(BootClock::new().map_err(StartError::Timer)?),
    });
    let (account, accounts) = watch::channel(None);
    let engine = Engine {
        work,
        machine,
        limits,
        intent,
        stored: intent,
        conditions: None,
        sensors,
        pace: Pace::Held,
        looks: 0,
        awake: Awake::default(),
        idle: None,
        gate: GateMemory::default(),
        governor: Governor::default(),
        answer: starting(),
        lowered: None,
        file: SettingsFile::new(config.paths.settings(), config.overrides, settings.clone()),
        file_notice: None,
        settings,
        scene: Scene::new(&config.network, config.payout.payout),
        accounts,
        timeline,
        lock_file: config.paths.engine_lock(),
        _locks: locks,
    };
    let (snapshot, snapshots) = watch::channel(engine.snapshot());
    let (commands, inbox) = mpsc::channel(64);
    let control = control::listen(&config.paths, commands.clone(), snapshots.clone()).map_err(StartError::Control)?;
    let mut tasks = JoinSet::new();
    tasks.spawn(driver.run());
    tasks.spawn(account::watch(Arc::clone(&engine.work), config.payout.payout, account));
    let (stop, stopped) = mpsc::channel(1);
    let done = tokio::spawn(engine.run(Inputs { conditions, commands: inbox, stopped }, tasks, snapshot, control));
    Ok(Handle { snapshots, commands, stop, done })
}

/// The answer before there are conditions.
fn starting() -> Answer {
    let reason = Reason::new(ReasonCode::Starting);
    Answer { decision: Decision::Hold(vec![reason]), no_new_work: None, room: u32::MAX }
}

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
