//! The thread that steers the sensors: how often they read, and what they look for.
//!
//! Its readings go to the decision loop directly. Orders may hang here, since displays and buses are asked; readings don't,
//! nor does what sessions report.

use std::io;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use surge_client::wire;
use surge_platform::conditions::Use;
use surge_platform::presence::{SessionInput, SessionReport};
use surge_platform::sensors::{Pace, Sensors};

use super::decide::Idle;
use super::inputs::{Input, Inputs, SensorOrder};
use super::parts::Part;
use crate::control::Listener;

/// Orders come with each tick. A hold is no short one after half a minute of them, and memory is given back once a minute.
const ORDERS_TO_LET_GO: u32 = 15;
const ORDERS_BETWEEN: u32 = 30;

/// The sensors, from when they are there.
#[derive(Debug, Clone, Default)]
pub(super) struct Sensing(Arc<OnceLock<Sensors>>);

/// Until there are sensors nothing runs, and a session is not yet known: its reporter repeats itself.
impl Listener for Sensing {
    fn report(&self, session: &str, report: wire::SessionReport) {
        if let Some(sensors) = self.0.get() {
            sensors.session_report(session, reported(session, report));
        }
    }

    fn lost(&self, session: &str) {
        if let Some(sensors) = self.0.get() {
            sensors.session_lost(session);
        }
    }

    fn ended(&self, session: &str) {
        if let Some(sensors) = self.0.get() {
            sensors.session_ended(session);
        }
    }
}

/// A session's report, with the session in place of the names of programs, which it does not tell.
fn reported(session: &str, report: wire::SessionReport) -> SessionReport {
    let input = match report.idle_ms {
        None => SessionInput::Unknown("its display can't be watched".to_owned()),
        Some(0) => SessionInput::Active,
        Some(ms) => SessionInput::IdleFor(Duration::from_millis(ms)),
    };
    let name = || format!("session {session}");
    let uses = [
        report.full_screen.then(|| Use::FullScreen(name())),
        report.film.then(|| Use::Inhibited(name())),
        report.call.then(|| Use::Call(name())),
        report.gamepad.then(|| Use::Gamepad(name())),
    ];
    SessionReport { input, locked: report.locked, uses: uses.into_iter().flatten().collect() }
}

/// Steers until the decision loop ends. The sensors are started with its first order.
pub(super) fn run(part: &Part, orders: &Receiver<SensorOrder>, sensing: &Sensing, idle: &Idle, inputs: &Inputs) {
    if let Err(error) = steer(part, orders, sensing, idle, inputs) {
        tracing::error!(%error, "The sensors can't be started");
    }
}

fn steer(
    part: &Part,
    orders: &Receiver<SensorOrder>,
    sensing: &Sensing,
    idle: &Idle,
    inputs: &Inputs,
) -> io::Result<()> {
    let Ok(mut order) = orders.recv() else { return Ok(()) };
    let inputs = inputs.clone();
    let mut wanted = order.settings.wanted.clone();
    let sensors = Sensors::start(wanted.clone(), move |conditions| {
        inputs.send(Input::Conditions(Box::new(conditions)));
    })?;
    let sensors = sensing.0.get_or_init(|| sensors);
    let (mut pace, mut count) = (Pace::Held, 0u32);
    loop {
        part.check();
        if order.settings.wanted != wanted {
            wanted = order.settings.wanted.clone();
            sensors.want(wanted.clone())?;
        }
        if order.pace != pace {
            pace = order.pace;
            sensors.pace(pace);
            count = 0;
        }
        idle.set(sensors.idle());
        count = count.saturating_add(1);
        // The owner is here to stay. What was needed since, for a heartbeat or a look at the account, is given back too.
        if pace == Pace::Held && count % ORDERS_BETWEEN == ORDERS_TO_LET_GO {
            surge_platform::memory::let_go();
        }
        let Ok(next) = orders.recv() else { break };
        order = next;
    }
    Ok(())
}
