//! Starts everything, and the one loop that decides: conditions, commands, settings and time in, decisions and
//! snapshots out.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use surge_platform::awake::Awake;
use surge_platform::conditions::Conditions;
use surge_platform::lock::{FileLock, LockError, MachineLock};
use surge_platform::sensors::{Pace, Sensors, Wanted};
use surge_protocol::Amount;
use surge_protocol::api::Account;
use surge_supervisor::{CodeCache, Supervisor};
use thiserror::Error;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::blobs::{BlobError, Blobs};
use crate::clock::unix_now;
use crate::config::Config;
use crate::control::{self, Control};
use crate::gate::{self, Answer, Decision, GateMemory, Intent, Limits, Moment};
use crate::governor::{Governor, govern};
use crate::http::{self, HttpError};
use crate::link::{Introduction, Link};
use crate::locks;
use crate::readings;
use crate::settings::{Machine, Settings, SettingsFile};
use crate::snapshot::{Decided, Scene};
use crate::store::{Store, StoreError};
use crate::timeline::Timeline;
use crate::view::{Command, PresenceView, Reason, ReasonCode, Snapshot};
use crate::work::{self, Work};

/// How often the snapshot is renewed and time-bound decisions are looked at, and how often while the owner holds work:
/// then nobody waits for a decision, and each look costs the owner.
const TICK: Duration = Duration::from_secs(1);
const TICK_HELD: Duration = Duration::from_secs(2);
/// Looks after which a hold is no short one.
const LOOKS_TO_LET_GO: u32 = 5;
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
            Self::Load(_) | Self::Sensors(_) => "sensors_unusable",
            Self::Http(error) => error.code(),
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
    let work = Arc::new(Work {
        link: Link::new(http, config.network.clone(), config.device, introduction),
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
        // Nothing runs before the first conditions are there.
        gate: watch::Sender::new(Decision::Hold(Vec::new())),
        running: Mutex::default(),
        troubles: Default::default(),
        load: Mutex::new(load),
        keeping: Mutex::default(),
        ended_ms: Default::default(),
    });
    let (account, accounts) = watch::channel(None);
    let engine = Engine {
        work,
        machine,
        limits,
        intent,
        conditions: None,
        sensors,
        pace: Pace::Held,
        looks_held: 0,
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
    tasks.spawn(work::run(Arc::clone(&engine.work)));
    tasks.spawn(watch_account(Arc::clone(&engine.work), config.payout.payout, account));
    let (stop, stopped) = mpsc::channel(1);
    let done = tokio::spawn(engine.run(Inputs { conditions, commands: inbox, stopped }, tasks, snapshot, control));
    Ok(Handle { snapshots, commands, stop, done })
}

/// What the sensors are to watch.
fn wanted(settings: &Settings) -> Wanted {
    Wanted {
        source: settings.source(),
        idle_after: settings.idle_after(),
        excluded: settings.excluded_programs.clone(),
    }
}

/// The answer before there are conditions.
fn starting() -> Answer {
    let detail = "the sensors have not told anything yet";
    let reason = Reason::new(ReasonCode::SensorStale, detail, "Nothing to do: it takes a moment").about("presence");
    Answer { decision: Decision::Hold(vec![reason]), no_new_work: None, room: u32::MAX }
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

/// What the loop waits for.
struct Inputs {
    conditions: watch::Receiver<Option<Conditions>>,
    commands: mpsc::Receiver<Command>,
    stopped: mpsc::Receiver<()>,
}

struct Engine {
    work: Arc<Work>,
    machine: Machine,
    settings: Settings,
    limits: Limits,
    intent: Intent,
    conditions: Option<Conditions>,
    sensors: Sensors,
    pace: Pace,
    /// How often the engine looked since `pace` is what it is.
    looks_held: u32,
    awake: Awake,
    /// Since the last input, as of the last tick.
    idle: Option<Duration>,
    gate: GateMemory,
    governor: Governor,
    answer: Answer,
    lowered: Option<Reason>,
    file: SettingsFile,
    file_notice: Option<Reason>,
    scene: Scene,
    accounts: watch::Receiver<Option<Account>>,
    timeline: Timeline,
    lock_file: std::path::PathBuf,
    _locks: Locks,
}

impl Engine {
    async fn run(
        mut self,
        mut inputs: Inputs,
        mut tasks: JoinSet<()>,
        snapshot: watch::Sender<Snapshot>,
        mut control: Control,
    ) {
        let mut tick = std::pin::pin!(tokio::time::sleep(Duration::ZERO));
        loop {
            // In order of urgency: what stops work comes before what shows it.
            tokio::select! {
                biased;
                Ok(()) = inputs.conditions.changed() => {
                    self.conditions.clone_from(&inputs.conditions.borrow_and_update());
                }
                Some(command) = inputs.commands.recv() => self.obey(command),
                _ = inputs.stopped.recv() => break,
                Some(ended) = tasks.join_next() => tracing::error!(?ended, "A part of the engine ended"),
                () = &mut tick => {
                    self.reload();
                    self.idle = self.sensors.idle();
                    self.let_go();
                    let pause = if self.pace == Pace::Held { TICK_HELD } else { TICK };
                    tick.as_mut().reset(tokio::time::Instant::now() + pause);
                }
            }
            self.decide();
            let now = self.snapshot();
            self.timeline.note(&now);
            control.publish(&now);
            snapshot.send_replace(now);
        }
        // Whoever watches is told before anything takes its time.
        drop(snapshot);
        control.close().await;
        tasks.shutdown().await;
        work::stop(&self.work).await;
        locks::leave(&self.lock_file);
    }

    fn obey(&mut self, command: Command) {
        tracing::info!(?command, "The owner decided");
        self.intend(match command {
            Command::Pause { seconds } => {
                Intent::Paused { until: seconds.map(|seconds| unix_now().saturating_add(seconds)) }
            }
            Command::PauseUntil { unix } => Intent::Paused { until: Some(unix) },
            Command::Finish => Intent::Finish,
            Command::Resume => Intent::Run,
        });
    }

    fn intend(&mut self, intent: Intent) {
        self.intent = intent;
        if let Err(error) = self.work.store.set_intent(intent) {
            tracing::warn!(%error, "The owner's decision holds, but will be forgotten at the next start");
        }
    }

    /// Gives memory back once, when its owner is here to stay.
    fn let_go(&mut self) {
        if self.pace == Pace::Held {
            self.looks_held = self.looks_held.saturating_add(1);
            if self.looks_held == LOOKS_TO_LET_GO {
                surge_platform::memory::let_go();
            }
        }
    }

    /// Takes over a changed settings file; an invalid one is told and changes nothing.
    fn reload(&mut self) {
        let Some(news) = self.file.look() else { return };
        match &news.notice {
            Some(notice) => tracing::warn!(detail = %notice.detail, "The settings file has changed"),
            None => tracing::info!("The settings file has changed"),
        }
        self.file_notice = news.notice;
        let Some(settings) = news.settings else { return };
        let wanted = wanted(&settings);
        if wanted != self::wanted(&self.settings)
            && let Err(error) = self.sensors.want(wanted)
        {
            tracing::error!(%error, "The sensors can't be started again");
        }
        self.limits = settings.limits(&self.machine);
        self.settings = settings;
    }

    fn decide(&mut self) {
        let Some(conditions) = &self.conditions else { return };
        let tasks = u32::try_from(self.work.running().len()).unwrap_or(u32::MAX);
        let now = Moment { at: Instant::now(), local: jiff::Zoned::now(), idle: self.idle, tasks };
        let intent = self.intent.after(tasks);
        let memory = std::mem::take(&mut self.gate);
        (self.answer, self.gate) = gate::decide(&self.limits, conditions, intent, memory, &now);
        let feeds_work = gate::feeds_work(conditions, &self.answer.decision, tasks);
        self.awake.keep(self.settings.keep_awake_on_ac && feeds_work);
        let budget = match self.answer.decision {
            Decision::Run(budget) => Some(budget),
            Decision::Hold(_) => None,
        };
        let memory = std::mem::take(&mut self.governor);
        let (drive, memory) = govern(&self.limits, budget, &conditions.thermal.value, memory, now.at);
        (self.governor, self.lowered) = (memory, drive.lowered);
        self.publish(drive.budget.map_or_else(|| self.answer.decision.clone(), Decision::Run));
        if tasks > self.answer.room {
            self.work.shed(self.answer.room);
        }
        if intent != self.intent {
            self.intend(intent);
        }
    }

    /// Hands a decision to the work loop, which knows no reasons: a reason's new numbers wake none of them.
    fn publish(&mut self, decision: Decision) {
        let codes = |reasons: &[Reason]| reasons.iter().map(|reason| reason.code).collect::<Vec<_>>();
        {
            let before = self.work.gate.borrow();
            match (&*before, &decision) {
                (Decision::Run(before), Decision::Run(budget)) if before == budget => return,
                (Decision::Hold(before), Decision::Hold(reasons)) if codes(before) == codes(reasons) => return,
                (Decision::Run(_), Decision::Run(_)) => {}
                (_, Decision::Run(budget)) => {
                    tracing::info!(workers = budget.workers, share = budget.share, "Work may run");
                }
                (_, Decision::Hold(reasons)) => tracing::info!(reasons = ?codes(reasons), "Work is held"),
            }
        }
        let pace = pace(&decision);
        if pace != self.pace {
            self.pace = pace;
            self.sensors.pace(pace);
            self.looks_held = 0;
        }
        self.work.decide(decision);
    }

    fn snapshot(&self) -> Snapshot {
        let held = match &self.answer.decision {
            Decision::Run(_) => &[],
            Decision::Hold(reasons) => reasons.as_slice(),
        };
        let account = self.accounts.borrow().clone();
        let today = account.as_ref().map_or(Amount::ZERO, |account| {
            let day = jiff::Zoned::now().date().to_string();
            self.work.store.credited_today(&day, account.credited).unwrap_or_default()
        });
        let decided = Decided {
            intent: self.intent,
            held,
            no_new_work: self.answer.no_new_work.as_ref(),
            notices: self.file_notice.iter().chain(&self.lowered).cloned().collect(),
            presence: PresenceView {
                source: self.sensors.source().to_owned(),
                idle_seconds: self.idle.map(|idle| idle.as_secs()),
                idle_after_seconds: self.settings.idle_after_seconds,
            },
            machine: readings::machine(self.conditions.as_ref(), &self.limits),
            max_workers: self.settings.max_workers(&self.machine),
        };
        self.scene.snapshot(&self.work, decided, account.as_ref(), today)
    }
}

/// While somebody is here, or nothing may run anyway, readings may be old.
fn pace(decision: &Decision) -> Pace {
    use ReasonCode::{OtherUser, OutsideSchedule, Paused, PresenceUnknown, UserActive};
    match decision {
        Decision::Hold(reasons) => match reasons.first().map(|first| first.code) {
            Some(Paused | OutsideSchedule | UserActive | OtherUser | PresenceUnknown) => Pace::Held,
            _ => Pace::Waiting,
        },
        Decision::Run(_) => Pace::Running,
    }
}
