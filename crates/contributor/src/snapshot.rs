//! Composes the [`Snapshot`] from what was decided and what is measured.

use std::collections::VecDeque;
use std::time::Instant;

use surge_protocol::Amount;
use surge_protocol::api::Account;
use surge_protocol::network::Network;
use surge_supervisor::WorkerStatus;

use crate::clock::unix_now;
use crate::engine::{Attached, Decided, FilesView};
use crate::gate::Intent;
use crate::store::{NetworkId, Undelivered};
use crate::view::{Case, Earnings, NetworkView, Reason, ReasonCode, Snapshot, State, UnattachedView, WorkerView};
use crate::work::Work;

/// Values kept of the load, and seconds between them: five minutes.
const HISTORY: usize = 60;
const HISTORY_SECONDS: u64 = 5;

/// What is shown of the past: the load's, and of work that has ended.
#[derive(Debug)]
pub(crate) struct Scene {
    load: LoadHistory,
    /// CPU time of the work for networks before this one, milliseconds; and which one this is.
    before_ms: u64,
    attached: u64,
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
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self {
            load: LoadHistory {
                worked_ms: 0,
                measured_ms: 0,
                measured_at: now,
                percent: 0.0,
                history: VecDeque::new(),
                kept_at: now,
            },
            before_ms: 0,
            attached: 0,
        }
    }

    /// The whole state now. `undelivered`: what waits for delivery, network by network.
    pub(crate) fn compose(
        &mut self,
        decided: Decided,
        files: &FilesView,
        attached: Option<&Attached>,
        undelivered: &[Undelivered],
    ) -> Snapshot {
        let at = unix_now();
        let work = attached.map(|attached| &*attached.work);
        let statuses = work.map(|work| work.supervisor.workers()).unwrap_or_default();
        let mut workers = work.map(|work| views(work, &statuses)).unwrap_or_default();
        if !decided.held.is_empty() {
            // What was decided holds, though its workers may hear of it a moment later.
            workers.iter_mut().for_each(|worker| worker.share = 0.0);
        }
        let active = workers.iter().filter(|worker| worker.share > 0.0).count();
        let no_new_work = decided.no_new_work.into_iter().collect();
        let troubles = work.map(|work| work.troubles.reasons()).unwrap_or_default();
        let (mut reasons, mut notices) = match active {
            0 => (once([decided.held, no_new_work, troubles].concat()), Vec::new()),
            _ => (Vec::new(), no_new_work),
        };
        if active == 0 && reasons.is_empty() {
            // Nothing stands in the way: the next task is being fetched or started.
            reasons.push(Reason::new(ReasonCode::Starting).case(Case::NextTask));
        }
        notices.extend(files.notice.iter().cloned().chain(decided.lowered));
        let finishing = decided.intent == Intent::Finish;
        let state =
            if active > 0 { State::Earning } else { reasons.first().map_or(State::Held, |first| state(first.code)) };
        self.measure(attached, &statuses);
        Snapshot {
            at,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            state,
            reasons,
            notices,
            networks: files.network.iter().map(|it| network(it, files, attached, undelivered)).collect(),
            unattached: unattached(files.network.as_deref(), undelivered),
            presence: decided.presence,
            machine: decided.machine,
            paused_until: match decided.intent {
                Intent::Paused { until } => until,
                Intent::Run | Intent::Finish => None,
            },
            finishing,
            workers,
            max_workers: files.max_workers,
            load_percent: self.load.percent,
            load_history: self.load.history.iter().copied().collect(),
            worked_ms: self.load.worked_ms,
            settings: files.settings.clone(),
        }
    }

    fn measure(&mut self, attached: Option<&Attached>, statuses: &[WorkerStatus]) {
        let number = attached.map_or(self.attached, |attached| attached.number);
        if number != self.attached {
            self.attached = number;
            self.before_ms = self.load.worked_ms;
        }
        let running_ms: u64 = statuses.iter().map(|status| status.cpu_ms).sum();
        let ended_ms = attached.map_or(0, |attached| attached.work.ended_ms());
        self.load.measure(self.before_ms + ended_ms + running_ms, Instant::now());
    }
}

/// The reasons without those whose code is there already: two parts may have the same trouble.
fn once(reasons: Vec<Reason>) -> Vec<Reason> {
    let mut told: Vec<Reason> = Vec::new();
    for reason in reasons {
        if told.iter().all(|known| known.code != reason.code) {
            told.push(reason);
        }
    }
    told
}

fn network(
    network: &Network,
    files: &FilesView,
    attached: Option<&Attached>,
    undelivered: &[Undelivered],
) -> NetworkView {
    let id = NetworkId::from(network);
    let known = attached.and_then(|attached| attached.account.borrow().clone());
    NetworkView {
        name: network.name.clone(),
        payout: files.payout.map(|payout| payout.to_checksum(None)),
        earnings: known.map(|known| earnings(&known.account, known.today)).unwrap_or_default(),
        undelivered: undelivered.iter().find(|it| it.network == id).map_or(0, |it| it.results),
    }
}

/// The networks that results wait for, but the attached one.
fn unattached(attached: Option<&Network>, undelivered: &[Undelivered]) -> Vec<UnattachedView> {
    let attached = attached.map(NetworkId::from);
    let others = undelivered.iter().filter(|it| Some(&it.network) != attached.as_ref());
    let view = |it: &Undelivered| UnattachedView {
        name: Some(it.name.clone()).filter(|name| !name.is_empty()),
        undelivered: it.results,
    };
    others.map(view).collect()
}

/// The state that the first reason stands for, where nothing runs.
const fn state(code: ReasonCode) -> State {
    use ReasonCode::*;
    match code {
        Paused => State::Paused,
        PresenceUnknown | CoordinatorRefused | DiskFull | CacheUnusable | WorkerBroken | SandboxUnavailable
        | HomeUnusable | SettingsInvalid | NotSetUp | SetupInvalid | InstallationBroken => State::NeedsYou,
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
