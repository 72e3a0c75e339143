//! Composes the [`Snapshot`] from what was decided and what is measured.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Instant;

use surge_protocol::api::Account;
use surge_protocol::network::Network;
use surge_protocol::{Address, Amount};
use surge_supervisor::WorkerStatus;

use crate::clock::unix_now;
use crate::gate::Intent;
use crate::view::{
    Earnings, MachineView, NetworkView, PresenceView, Reason, ReasonCode, SettingView, Snapshot, State, WorkerView,
};
use crate::work::Work;

/// Values kept of the load, and seconds between them: five minutes.
const HISTORY: usize = 60;
const HISTORY_SECONDS: u64 = 5;

/// What never changes while the engine runs, and the load's recent past.
#[derive(Debug)]
pub(crate) struct Scene {
    network: String,
    payout: Address,
    load: Mutex<LoadHistory>,
}

/// What was decided, and what the sensors tell of presence.
#[derive(Debug)]
pub(crate) struct Decided<'a> {
    pub(crate) intent: Intent,
    /// Why nothing may run, in order.
    pub(crate) held: &'a [Reason],
    /// Why nothing new is started although work may run.
    pub(crate) no_new_work: Option<&'a Reason>,
    pub(crate) notices: Vec<Reason>,
    pub(crate) presence: PresenceView,
    pub(crate) machine: MachineView,
    pub(crate) max_workers: u32,
    pub(crate) settings: Vec<SettingView>,
}

/// Turns CPU clocks of workers into a load.
#[derive(Debug)]
struct LoadHistory {
    /// CPU time of all workers so far, as of the last look and of the last measurement.
    worked_ms: u64,
    measured_ms: u64,
    measured_at: Instant,
    percent: f32,
    history: VecDeque<f32>,
    kept_at: Instant,
}

impl Scene {
    pub(crate) fn new(network: &Network, payout: Address) -> Self {
        let now = Instant::now();
        Self {
            network: network.name.clone(),
            payout,
            load: Mutex::new(LoadHistory {
                worked_ms: 0,
                measured_ms: 0,
                measured_at: now,
                percent: 0.0,
                history: VecDeque::new(),
                kept_at: now,
            }),
        }
    }

    /// The whole state now.
    pub(crate) fn snapshot(
        &self,
        work: &Work,
        decided: Decided<'_>,
        account: Option<&Account>,
        today: Amount,
    ) -> Snapshot {
        let at = unix_now();
        let statuses = work.supervisor.workers();
        let workers = views(work, &statuses);
        let active = workers.iter().filter(|worker| worker.share > 0.0).count();
        let no_new_work = decided.no_new_work.cloned().into_iter().collect();
        let (reasons, mut notices) = match active {
            0 => ([decided.held.to_vec(), no_new_work, work.troubles.reasons()].concat(), Vec::new()),
            _ => (Vec::new(), no_new_work),
        };
        notices.extend(decided.notices);
        let intent = decided.intent.at(at);
        let finishing = intent == Intent::Finish;
        let state =
            if active > 0 { State::Earning } else { reasons.first().map_or(State::Held, |first| state(first.code)) };
        let mut load = self.load.lock().unwrap_or_else(PoisonError::into_inner);
        let running_ms: u64 = statuses.iter().map(|status| status.cpu_ms).sum();
        load.measure(work.ended_ms() + running_ms, Instant::now());
        Snapshot {
            at,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            state,
            reasons,
            notices,
            networks: vec![NetworkView {
                name: self.network.clone(),
                payout: Some(self.payout.to_checksum(None)),
                earnings: account.map(|account| earnings(account, today)).unwrap_or_default(),
                undelivered: work.store.count_waiting().unwrap_or(0),
            }],
            presence: decided.presence,
            machine: decided.machine,
            paused_until: match intent {
                Intent::Paused { until } => until,
                Intent::Run | Intent::Finish => None,
            },
            finishing,
            workers,
            max_workers: decided.max_workers,
            load_percent: load.percent,
            load_history: load.history.iter().copied().collect(),
            worked_ms: load.worked_ms,
            settings: decided.settings,
        }
    }
}

/// The state that the first reason stands for, where nothing runs.
const fn state(code: ReasonCode) -> State {
    use ReasonCode::*;
    match code {
        Paused => State::Paused,
        PresenceUnknown | CoordinatorRefused | DiskFull | CacheUnusable | WorkerBroken | SandboxUnavailable
        | SettingsInvalid | NotSetUp | SetupInvalid | InstallationBroken => State::NeedsYou,
        Starting
        | Finishing
        | OutsideSchedule
        | UserActive
        | OtherUser
        | Disturbed
        | SensorStale
        | FullScreen
        | Film
        | Call
        | Gamepad
        | ExcludedProgram
        | OnBattery
        | LidShut
        | Hot
        | OtherLoad
        | MemoryLow
        | MeteredNetwork
        | RestartNeeded
        | Warm
        | NoTemperature
        | NoWork
        | CoordinatorUnreachable
        | Unknown => State::Held,
    }
}

fn views(work: &Work, statuses: &[WorkerStatus]) -> Vec<WorkerView> {
    let running = work.running();
    let of = |status: &WorkerStatus| {
        let task = running.iter().find(|task| task.worker == status.id)?;
        Some(WorkerView {
            pid: status.pid,
            lease: task.lease,
            job_name: task.job_name.clone(),
            index: task.index,
            share: status.share,
            cpu_ms: status.cpu_ms,
        })
    };
    statuses.iter().filter_map(of).collect()
}

fn earnings(account: &Account, today: Amount) -> Earnings {
    let settled = account.settled.as_ref().map_or(Amount::ZERO, |settled| settled.cumulative);
    Earnings {
        awaiting: account.awaiting_amount,
        validated: account.credited.checked_sub(settled).unwrap_or_default(),
        settled,
        today,
        tasks_accepted: account.accepted,
        tasks_rejected: account.rejected,
    }
}

impl LoadHistory {
    /// CPU that the workers used since the measurement before, in percent of the machine. `worked_ms` is the time of all
    /// workers that ever ran; one that ends is in neither sum for a moment, which must not look like time going back.
    fn measure(&mut self, worked_ms: u64, now: Instant) {
        self.worked_ms = self.worked_ms.max(worked_ms);
        let elapsed = now.duration_since(self.measured_at).as_secs_f32();
        if elapsed < 0.5 {
            return;
        }
        let used = self.worked_ms - self.measured_ms;
        self.measured_ms = self.worked_ms;
        self.percent = used as f32 / 10.0 / elapsed / surge_platform::load::cores() as f32;
        self.measured_at = now;
        if self.history.is_empty() || now.duration_since(self.kept_at).as_secs() >= HISTORY_SECONDS {
            self.kept_at = now;
            self.history.push_back(self.percent);
            self.history.drain(..self.history.len().saturating_sub(HISTORY));
        }
    }
}
