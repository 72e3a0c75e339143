//! Reads everything in rounds, and sleeps in between until there is something to read.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::sync::Notify;

use super::shared::{Presently, Readings, Shared};
use super::{Wanted, os};
use crate::conditions::Reading;
use crate::disturbance::{Alarm, Clocks};
use crate::load::{Load, LoadMeter};
use crate::presence::Presence;
use crate::thermal::Thermometer;
use crate::{foreground, network, power};

/// How often all is read while nothing runs.
const WHILE_HELD: Duration = Duration::from_secs(10);
/// How often while work runs, and warms the processor, or is about to run.
const WHILE_RUNNING: Duration = Duration::from_secs(2);
/// Less time than this says nothing about the load.
const LOAD_WINDOW: Duration = Duration::from_secs(1);
/// Longer than any round takes in which a service does not answer.
const LONGEST_ROUND: Duration = Duration::from_secs(30);
/// What a source of presence may be behind when it is asked.
const BEHIND: Duration = Duration::from_secs(1);

/// A load that was not measured counts as the highest.
const FULL: Load = Load { cpu_percent: 100.0, available_bytes: 0, memory_pressure: None };

/// Reads and waits in turns until told to stop.
pub(super) fn renew(shared: &Shared, mut readers: Readers, runtime: &Runtime) {
    let mut clocks = Clocks::now();
    let mut check = |expected: Duration| {
        let now = Clocks::now();
        let disturbance = clocks.disturbed_by(&now, expected);
        clocks = now;
        disturbance.inspect(|disturbance| shared.disturb(*disturbance))
    };
    let mut disturbed = true;
    loop {
        let (wanted, urgent) = {
            let state = shared.state();
            if state.stopped {
                return;
            }
            (Arc::clone(&state.wanted), disturbed || state.pending.is_some())
        };
        let began = Instant::now();
        runtime.block_on(readers.services.ask(urgent));
        let readings = {
            let _inside = runtime.enter();
            readers.read(&wanted)
        };
        let confirmed = readers.confirm(shared);
        {
            let mut state = shared.state();
            state.readings = Some(readings);
            if let Some(idle) = state.pending.take_if(|idle| idle.at <= began) {
                state.shown = idle;
            } else if let Some(confirmed) = confirmed.filter(|confirmed| confirmed.presence == state.shown.presence) {
                state.shown = confirmed;
            }
            state.deliver();
        }
        let in_round = check(LONGEST_ROUND);

        let pace = match (readers.load_known(), shared.fast.load(Ordering::Acquire)) {
            (false, _) => LOAD_WINDOW,
            (true, true) => WHILE_RUNNING,
            (true, false) => WHILE_HELD,
        };
        runtime.block_on(readers.wait(&shared.nudge, if in_round.is_some() { Duration::ZERO } else { pace }));
        disturbed = in_round.or(check(pace)).is_some();
    }
}

/// All that is read, but presence.
#[derive(Debug)]
pub(super) struct Readers {
    services: os::Services,
    watch: foreground::Watch,
    alarm: Alarm,
    thermometer: Thermometer,
    /// `None` where the system does not tell.
    meter: Option<LoadMeter>,
    load: Reading<Load>,
    /// The watcher that has answered when it was asked how long nobody did anything.
    answers: Option<u64>,
}

impl Readers {
    /// Must be called inside the runtime.
    pub(super) fn new(shared: &Shared) -> io::Result<Self> {
        Ok(Self {
            services: os::Services::new(&shared.nudge),
            watch: foreground::Watch::new(),
            alarm: Alarm::new()?,
            thermometer: Thermometer::new(),
            meter: LoadMeter::new().inspect_err(|error| tracing::warn!(%error, "the load can't be read")).ok(),
            load: Reading::new(FULL, "none", Instant::now()),
            answers: None,
        })
    }

    fn read(&mut self, wanted: &Wanted) -> Readings {
        self.read_load();
        let told = self.services.told();
        Readings {
            power: power::read(),
            thermal: self.thermometer.read(self.meter.as_ref().map_or(0.0, LoadMeter::all_percent)),
            load: self.load.clone(),
            foreground: self.watch.read(&wanted.excluded, wanted.idle_after, &told),
            network: network::read(self.services.network()),
        }
    }

    fn read_load(&mut self) {
        let now = Instant::now();
        let Some(meter) = &mut self.meter else { return };
        if self.load.age(now) >= LOAD_WINDOW {
            self.load = Reading::new(meter.read(), "system", now);
        } else {
            // Too short a time for the processor, not for memory.
            let load = &mut self.load.value;
            (load.available_bytes, load.memory_pressure) = meter.memory();
        }
    }

    /// Whether the load was measured, as far as it can be.
    fn load_known(&self) -> bool {
        self.meter.is_none() || self.load.source != "none"
    }

    /// What presence is now, if its source still stands by it: idleness is asked for again. A source that has answered
    /// before and does not now, or that knows of later input, does not.
    fn confirm(&mut self, shared: &Shared) -> Option<Presently> {
        let (presence, generation, wanted) = {
            let state = shared.state();
            (state.shown.presence.clone(), state.generation, Arc::clone(&state.wanted))
        };
        let at = Instant::now();
        if matches!(presence, Presence::IdleSince(_)) {
            match shared.watcher()?.idle() {
                Some(idle) if idle + BEHIND < wanted.idle_after => return None,
                Some(_) => self.answers = Some(generation),
                None if self.answers == Some(generation) => return None,
                None => {}
            }
        }
        Some(Presently { presence, at })
    }

    /// Sleeps until there is something to read.
    async fn wait(&mut self, nudge: &Notify, pace: Duration) {
        tokio::select! {
            () = nudge.notified() => {}
            () = tokio::time::sleep(pace) => {}
            () = self.alarm.rung() => {}
            () = self.watch.stirred() => {}
        }
    }
}
