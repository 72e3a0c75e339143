//! The thread that steers the sensors: how often they read, and what they look for.
//!
//! Its readings go to the decision loop directly. Orders may hang here, since displays and buses are asked; readings don't.

use std::io;
use std::sync::mpsc::Receiver;

use surge_platform::sensors::{Pace, Sensors};

use super::decide::Idle;
use super::inputs::{Input, Inputs, SensorOrder};
use super::parts::Part;

/// Orders come with each tick. A hold is no short one after half a minute of them, and memory is given back once a minute.
const ORDERS_TO_LET_GO: u32 = 15;
const ORDERS_BETWEEN: u32 = 30;

/// Steers until the decision loop ends. The sensors are started with its first order.
pub(super) fn run(part: &Part, orders: &Receiver<SensorOrder>, idle: &Idle, inputs: &Inputs) {
    if let Err(error) = steer(part, orders, idle, inputs) {
        tracing::error!(%error, "The sensors can't be started");
    }
}

fn steer(part: &Part, orders: &Receiver<SensorOrder>, idle: &Idle, inputs: &Inputs) -> io::Result<()> {
    let Ok(mut order) = orders.recv() else { return Ok(()) };
    let inputs = inputs.clone();
    let mut wanted = order.settings.wanted.clone();
    let sensors = Sensors::start(wanted.clone(), move |conditions| {
        inputs.send(Input::Conditions(Box::new(conditions)));
    })?;
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
