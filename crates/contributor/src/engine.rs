//! The one loop that decides: conditions, commands, settings and time in, decisions and snapshots out.

mod account;
mod start;

use std::sync::Arc;
use std::time::{Duration, Instant};

use surge_platform::awake::Awake;
use surge_platform::conditions::Conditions;
use surge_platform::lock::{FileLock, MachineLock};
use surge_platform::sensors::{Pace, Sensors, Wanted};
use surge_protocol::Amount;
use surge_protocol::api::Account;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::clock::unix_now;
use crate::control::Control;
use crate::gate::{self, Answer, Decision, GateMemory, Intent, Limits, Moment};
use crate::governor::{Governor, govern};
use crate::locks;
use crate::readings;
use crate::settings::{Machine, Settings, SettingsFile};
use crate::snapshot::{Decided, Scene};
use crate::timeline::Timeline;
use crate::view::{Command, PresenceView, Reason, ReasonCode, Snapshot};
use crate::work::{self, Work};

/// How often the snapshot is renewed and time-bound decisions are looked at, and how often while the owner holds work:
/// then nobody waits for a decision, and each look costs the owner.
const TICK: Duration = Duration::from_secs(1);
const TICK_HELD: Duration = Duration::from_secs(2);
/// Looks after which a hold is no short one, and between two times that memory is given back in it: half a minute, a minute.
const LOOKS_TO_LET_GO: u32 = 15;
const LOOKS_BETWEEN: u32 = 30;

pub use start::{StartError, start};

/// A running engine. Both shells, tray and CLI, hold one of these and nothing else.
#[derive(Debug)]
pub struct Handle {
    snapshots: watch::Receiver<Snapshot>,
    commands: mpsc::Sender<Command>,
    stop: mpsc::Sender<()>,
    done: tokio::task::JoinHandle<()>,
}

impl Handle {
    /// The engine's state, renewed every second or two.
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

/// What the sensors are to watch.
fn wanted(settings: &Settings) -> Wanted {
    Wanted {
        source: settings.source(),
        idle_after: settings.idle_after(),
        excluded: settings.excluded_programs.clone(),
    }
}

type Locks = (FileLock, Option<MachineLock>);

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
    /// As the store knows it.
    stored: Intent,
    conditions: Option<Conditions>,
    sensors: Sensors,
    pace: Pace,
    /// How often the engine looked since `pace` is what it is.
    looks: u32,
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
            self.remember();
            let now = self.snapshot();
            self.timeline.note(&now);
            control.publish(&now);
            snapshot.send_replace(now);
        }
        // Nobody hears of the owner from here on.
        self.work.decide(Decision::Hold(Vec::new()));
        // Whoever watches is told before anything takes its time.
        drop(snapshot);
        control.close().await;
        work::stop(&self.work).await;
        tasks.shutdown().await;
        locks::leave(&self.lock_file);
    }

    fn obey(&mut self, command: Command) {
        tracing::info!(?command, "The owner decided");
        self.intent = match command {
            Command::Pause { seconds } => {
                Intent::Paused { until: seconds.map(|seconds| unix_now().saturating_add(seconds)) }
            }
            Command::PauseUntil { unix } => Intent::Paused { until: Some(unix) },
            Command::Finish => Intent::Finish,
            Command::Resume => Intent::Run,
            // Files are looked at with the next tick, and the shell that hosts the engine ends it.
            Command::Reload | Command::Stop => return,
        };
    }

    /// Stores what the owner wants, after it was done: the disk may take its time.
    fn remember(&mut self) {
        if self.intent == self.stored {
            return;
        }
        self.stored = self.intent;
        if let Err(error) = self.work.store.set_intent(self.intent) {
            tracing::warn!(%error, "The owner's decision holds, but will be forgotten at the next start");
        }
    }

    /// Gives memory back when its owner is here to stay, and again what was needed since: a heartbeat, an account's state.
    fn let_go(&mut self) {
        self.looks = self.looks.saturating_add(1);
        if self.pace == Pace::Held && self.looks % LOOKS_BETWEEN == LOOKS_TO_LET_GO {
            surge_platform::memory::let_go();
        }
    }

    /// Takes over a changed settings file; an invalid one is told and changes nothing.
    fn reload(&mut self) {
        let Some(news) = self.file.look() else { return };
        match &news.notice {
            Some(notice) => tracing::warn!(said = notice.said, keys = notice.subject, "The settings file has changed"),
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
        let intent = self.intent.after(tasks.max(self.work.begun()));
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
        self.intent = intent;
    }

    /// Hands a decision to the work loop, which knows no reasons: a reason's new numbers wake none of them.
    fn publish(&mut self, decision: Decision) {
        let codes = |reasons: &[Reason]| reasons.iter().map(|reason| reason.code).collect::<Vec<_>>();
        let before = self.work.gate.borrow().clone();
        match (&before, &decision) {
            (Decision::Run(before), Decision::Run(budget)) if before == budget => return,
            (Decision::Hold(before), Decision::Hold(reasons)) if codes(before) == codes(reasons) => return,
            _ => {}
        }
        // The reason why this exists comes first.
        self.work.decide(decision.clone());
        match (before, &decision) {
            (Decision::Run(_), Decision::Run(_)) => {}
            (_, Decision::Run(budget)) => {
                tracing::info!(workers = budget.workers, share = budget.share, "Work may run");
            }
            (_, Decision::Hold(reasons)) => tracing::info!(reasons = ?codes(reasons), "Work is held"),
        }
        let pace = pace(&decision);
        if pace != self.pace {
            self.pace = pace;
            self.sensors.pace(pace);
            self.looks = 0;
        }
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
            settings: Vec::new(),
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
