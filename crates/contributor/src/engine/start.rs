//! Starts an engine. What it can't do yet is no error: it says so in its state, and goes on by itself when that is mended.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc as threads;

use surge_platform::load::Load;
use surge_platform::lock::{FileLock, LockError, MachineLock};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};

use super::Handle;
use super::attachment::Attachment;
use super::decide::{self, Claims, Decider, Idle};
use super::ending::Running;
use super::files::{self, Files, FilesView, Target, accepted};
use super::inputs::{Accepted, Inputs};
use super::keeper::{self, Kept};
use super::parts::Parts;
use super::presenter::Presenter;
use super::sensing::{self, Sensing};
use crate::clock::{boot_id, unix_now};
use crate::config::Config;
use crate::control::{Control, Desk, Orders, Reporters, WhoIs, audience, by_user};
use crate::locks;
use crate::settings::{Machine, Settings};
use crate::snapshot::Scene;
use crate::view::{Reason, ReasonCode, Snapshot};

/// Threads for all that waits for the network and composes what shells see. What waits for a disk has others.
const POOL: usize = 2;

/// What truly can't run.
#[derive(Debug, Error)]
pub enum StartError {
    #[error("an engine runs already with the home {0}: look at it with `surge status`")]
    HomeInUse(PathBuf),
    #[error("another engine runs on this machine: stop it, or set share_machine = true in a test bed")]
    MachineInUse,
    #[error("a lock can't be taken")]
    Lock(#[source] io::Error),
    #[error("the home {0} can't be written")]
    Home(PathBuf, #[source] io::Error),
    #[error("the system refused a thread")]
    Thread(#[source] io::Error),
    #[error("the control socket can't be opened")]
    Control(#[source] io::Error),
}

impl StartError {
    /// A stable word for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::HomeInUse(_) => "home_in_use",
            Self::MachineInUse => "machine_in_use",
            Self::Lock(_) | Self::Home(..) => "home_unusable",
            Self::Thread(_) => "no_thread",
            Self::Control(_) => "control_unusable",
        }
    }
}

/// Starts the engine. It answers on its socket when this returns.
///
/// # Errors
/// When this home or machine has one already, or the home can't be used at all.
pub fn start(config: Config) -> Result<Handle, StartError> {
    let who = by_user(&config.paths);
    start_watched(config, who, |parts| parts.watch_panics())
}

/// As [`start`]; `watch` gets the parts before any of them is started.
pub(super) fn start_watched(config: Config, who: WhoIs, watch: impl FnOnce(&Parts)) -> Result<Handle, StartError> {
    let home = &config.paths.home;
    std::fs::create_dir_all(home).map_err(|error| StartError::Home(home.clone(), error))?;
    let locks = take_locks(&config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(POOL)
        .thread_name("engine")
        .enable_all()
        .build()
        .map_err(StartError::Thread)?;
    let inside = runtime.enter();
    let (parts, gone) = Parts::new();
    watch(&parts);

    let machine = Machine::here();
    let nothing = Arc::new(accepted(&Settings::default(), &machine));
    let (inputs, inbox) = threads::channel();
    let inputs = Inputs(inputs);
    let (decided, decisions) = mpsc::unbounded_channel();
    let sensing = Sensing::default();
    let reporters = Reporters::new(Arc::new(sensing.clone()), surge_platform::peer::session_ended);
    let claims = Claims::default();
    let load =
        sense_and_decide(&parts, &nothing, sensing, &inputs, &claims, inbox, decided).map_err(StartError::Thread)?;

    let (target, targets) = watch::channel(Target::default());
    let (view, files) = watch::channel(FilesView::default());
    let (ask_files, asked) = threads::channel();
    let watcher = Files::new(config.clone(), machine, locks.0.path().clone());
    let outputs = files::Outputs { inputs: inputs.clone(), target, view };
    parts.spawn("files", move |part| watcher.run(part, &asked, &outputs)).map_err(StartError::Thread)?;

    let (disk, disks) = watch::channel(None);
    let (kept_so_far, kept) = watch::channel(Kept::default());
    let (keeper, to_keep) = threads::channel();
    let (keeper_ends, keeper_ended) = oneshot::channel();
    let outputs = keeper::Outputs { inputs: inputs.clone(), disk, kept: kept_so_far };
    let store = config.paths.store();
    parts
        .spawn("keeper", move |part| {
            keeper::run(part, &store, &to_keep, &outputs);
            drop(outputs);
            // Nobody waits for it where the engine ended badly.
            let _ = keeper_ends.send(());
        })
        .map_err(StartError::Thread)?;

    let (attached, attachments) = watch::channel(None);
    let (snapshot, snapshots) = watch::channel(starting());
    let (audience, seat) = audience();
    let presenter = Presenter {
        files,
        attached: attachments.clone(),
        disk: disks.clone(),
        kept,
        keeper,
        reporters: reporters.clone(),
        snapshots: snapshot,
        audience,
        scene: Scene::new(),
        claims,
        asked: Default::default(),
    };
    let presenter = tokio::spawn(presenter.run(parts.part("presenter"), decisions));

    let (stop, stopped) = mpsc::unbounded_channel();
    let orders = Orders { inputs: inputs.clone(), files: ask_files, stop: stop.clone() };
    let desk = Desk { orders, snapshots: snapshots.clone(), seat, who, reporters };
    let control = Control::listen(&config.paths, desk, parts.part("control")).map_err(StartError::Control)?;

    let (work_may_end, ending) = watch::channel(());
    let (broken, why_broken) = watch::channel(None);
    let exit_when_not_set_up = config.exit_when_not_set_up;
    let attachment = Attachment {
        config,
        lock: locks.0.path().clone(),
        inputs: inputs.clone(),
        target: targets.clone(),
        disk: disks,
        load,
        attached,
        broken,
        ending,
        number: 0,
    };
    let attachment = tokio::spawn(attachment.run(parts.part("attachment")));
    let running = Running {
        exit_when_not_set_up,
        parts: parts.clone(),
        gone,
        stop: stopped,
        inputs: inputs.clone(),
        target: targets,
        broken: why_broken,
        control,
        work_may_end,
        attachment,
        attached: attachments.clone(),
        presenter,
        keeper_ended,
        locks,
    };
    let (tell_end, ended) = oneshot::channel();
    tokio::spawn(async move {
        let end = running.run().await;
        // Whoever started the engine may not care.
        let _ = tell_end.send(end);
    });
    drop(inside);
    Ok(Handle { snapshots, inputs, attached: attachments, stop, parts, ended, runtime: Some(runtime) })
}

/// Starts the thread that decides, and the one that steers the sensors. Gives the load on which work may run.
fn sense_and_decide(
    parts: &Parts,
    settings: &Arc<Accepted>,
    sensing: Sensing,
    inputs: &Inputs,
    claims: &Claims,
    inbox: threads::Receiver<super::Input>,
    decided: mpsc::UnboundedSender<super::Decided>,
) -> io::Result<watch::Receiver<Option<Load>>> {
    let idle = Idle::default();
    // Room for some: each order says all that those before it said.
    let (sensors, orders) = threads::sync_channel(4);
    let decider = Decider::new(Arc::clone(settings), boot_id(), idle.clone(), claims.clone());
    let (load, loads) = watch::channel(None);
    let outputs = decide::Outputs { decided, sensors, load };
    parts.spawn("decide", move |part| decider.run(part, &inbox, &outputs))?;
    let inputs = inputs.clone();
    parts.spawn("sensing", move |part| sensing::run(part, &orders, &sensing, &idle, &inputs))?;
    Ok(loads)
}

/// What shells see before anything is decided.
fn starting() -> Snapshot {
    Snapshot {
        at: unix_now(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        reasons: vec![Reason::new(ReasonCode::Starting)],
        ..Snapshot::default()
    }
}

fn take_locks(config: &Config) -> Result<(FileLock, Option<MachineLock>), StartError> {
    let (home, killed) = locks::home(&config.paths.engine_lock()).map_err(|error| match error {
        LockError::Held => StartError::HomeInUse(config.paths.home.clone()),
        LockError::Io(error) => StartError::Lock(error),
    })?;
    if shares_machine(config) {
        return Ok((home, None));
    }
    let machine = locks::machine(killed).map_err(|error| match error {
        LockError::Held => StartError::MachineInUse,
        LockError::Io(error) => StartError::Lock(error),
    })?;
    Ok((home, Some(machine)))
}

/// Whether the settings let another engine run here. Settings that are not valid allow nothing.
fn shares_machine(config: &Config) -> bool {
    let mut settings = Settings::load(&config.paths.settings()).unwrap_or_default();
    for change in &config.overrides {
        // One that contradicts the file is told where settings are read for use.
        let _ = change.apply(&mut settings);
    }
    settings.share_machine
}
