//! Linux: what logind, NetworkManager and the desktop's services say. Asked once, then after each of their signals, when
//! idleness begins, and every few minutes for what has no signal.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use zbus::Connection;

use crate::bus::{ANSWER, Asked, Bus, BusState, NoAnswer, PROPERTIES, SignalSource, Which};
use crate::conditions::Network;
use crate::foreground::ServiceFacts;
use crate::foreground::linux::{inhibitors, screen_lock};
use crate::logind;
use crate::network::linux as networkmanager;
use crate::surroundings::Surroundings;

/// For logind's word on the lid, which has no signal, where the kernel does not tell.
const ASK_AGAIN: Duration = Duration::from_secs(300);
/// How long to leave a service alone that did not answer.
const PATIENCE: Duration = Duration::from_secs(10);

const SYSTEM: &[SignalSource] = &[
    SignalSource { service: logind::SERVICE, path: None, interface: PROPERTIES },
    SignalSource { service: networkmanager::MANAGER, path: Some(networkmanager::MANAGER_PATH), interface: PROPERTIES },
];
const SESSION: &[SignalSource] = &[
    SignalSource { service: inhibitors::GNOME, path: None, interface: inhibitors::GNOME },
    SignalSource { service: inhibitors::KDE, path: None, interface: inhibitors::KDE },
    SignalSource { service: inhibitors::PORTABLE, path: None, interface: inhibitors::PORTABLE_INHIBIT },
    SignalSource { service: screen_lock::SAVERS[0].0, path: None, interface: screen_lock::SAVERS[0].0 },
    SignalSource { service: screen_lock::SAVERS[1].0, path: None, interface: screen_lock::SAVERS[1].0 },
];

/// The services on both buses.
#[derive(Debug)]
pub(super) struct Services {
    around: Surroundings,
    system: Side<OfSystem>,
    session: Side<OfSession>,
}

#[derive(Debug, Default)]
struct OfSystem {
    inhibitors: Vec<String>,
    locked: bool,
    lid_shut: Option<bool>,
    network: Option<Network>,
}

#[derive(Debug, Default)]
struct OfSession {
    inhibitors: Vec<String>,
    locked: bool,
}

impl Services {
    pub(super) fn new(around: &Surroundings, wake_up: &Arc<Notify>) -> Self {
        Self {
            around: around.clone(),
            system: Side::new(Bus::new(Which::System, around, SYSTEM, Arc::clone(wake_up))),
            session: Side::new(Bus::new(Which::Session, around, SESSION, Arc::clone(wake_up))),
        }
    }

    /// Asks what may have changed, or all where that is `urgent`.
    pub(super) async fn ask(&mut self, urgent: bool) {
        let around = &self.around;
        tokio::join!(
            self.system.ask(urgent, async |bus| of_system(bus, around).await),
            self.session.ask(urgent, of_session)
        );
    }

    pub(super) fn told(&self) -> ServiceFacts {
        let (system, session) = (&self.system, &self.session);
        ServiceFacts {
            inhibitors: [system.facts.inhibitors.as_slice(), &session.facts.inhibitors].concat(),
            locked: system.facts.locked || session.facts.locked,
            lid_shut: system.facts.lid_shut,
            stale: system.stale || session.stale,
        }
    }

    /// NetworkManager's word; `None` where there is none.
    pub(super) fn network(&self) -> Option<Network> {
        // What it said before it fell silent may be about another network.
        if self.system.stale { Some(Network::Unknown) } else { self.system.facts.network }
    }
}

// The questions are sent together, so that all answers cost few wake-ups.

async fn of_system(bus: Connection, around: &Surroundings) -> Asked<OfSystem> {
    let (inhibitors, locked, lid_shut, network) = tokio::join!(
        inhibitors::of_logind(&bus),
        logind::locked(&bus, around),
        logind::lid_shut(&bus),
        networkmanager::metered(&bus),
    );
    // A network service that hangs says nothing of the screen.
    let network = network.unwrap_or(Some(Network::Unknown));
    Ok(OfSystem { inhibitors: inhibitors?, locked: locked?, lid_shut: lid_shut?, network })
}

async fn of_session(bus: Connection) -> Asked<OfSession> {
    let (inhibitors, locked) = tokio::join!(inhibitors::of_desktop(&bus), screen_lock::covers(&bus));
    Ok(OfSession { inhibitors: inhibitors?, locked: locked? })
}

/// A bus and what its services said last.
#[derive(Debug)]
struct Side<F> {
    bus: Bus,
    facts: F,
    /// A service was there and does not answer, or the bus itself is gone.
    stale: bool,
    due: Instant,
}

impl<F: Default> Side<F> {
    fn new(bus: Bus) -> Self {
        Self { bus, facts: F::default(), stale: false, due: Instant::now() }
    }

    async fn ask(&mut self, urgent: bool, question: impl AsyncFnOnce(Connection) -> Asked<F>) {
        let (connection, changed) = match self.bus.state().await {
            BusState::There { connection, changed } => (connection, changed),
            BusState::Lost => {
                self.stale = true;
                return;
            }
            BusState::Absent => {
                (self.facts, self.stale) = (F::default(), false);
                return;
            }
        };
        let now = Instant::now();
        if !changed && !urgent && now < self.due {
            return;
        }
        let asked = tokio::time::timeout(ANSWER, question(connection)).await;
        match asked.map_err(NoAnswer::from).flatten() {
            Ok(facts) => (self.facts, self.stale, self.due) = (facts, false, now + ASK_AGAIN),
            Err(error) => {
                tracing::debug!(%error, "what was said last counts as old");
                (self.stale, self.due) = (true, now + PATIENCE);
            }
        }
    }
}
