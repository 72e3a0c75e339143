//! Everything that is known of this computer, read at a slow pace and delivered as one whole value.
//!
//! Presence comes straight from its watcher's thread, since its change is what stops work: nothing that reads can hold
//! it up. All else is renewed by one thread that sleeps until something happens or its time has come. A change *to*
//! idleness waits for that thread's next round, so that no work starts beside a film that began since the last one.
//!
//! Deliberately absent: decisions.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::sync::Notify;

use crate::conditions::{Conditions, Disturbance, Foreground, Network, Power, Reading, Thermal};
use crate::disturbance::{Alarm, Clocks};
use crate::load::{Load, LoadMeter};
use crate::presence::{Presence, Source, Watcher};
use crate::thermal::Thermometer;
use crate::{foreground, network, power};

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as os;
#[cfg(not(target_os = "linux"))]
mod portable;
#[cfg(not(target_os = "linux"))]
use portable as os;

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

/// What to look for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Where presence comes from.
    pub source: Source,
    /// Time without input after which the owner counts as away.
    pub idle_after: Duration,
    /// Programs that are looked for, by name.
    pub excluded: BTreeSet<String>,
}

/// How often to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Nothing runs, and for a while: every ten seconds.
    Held,
    /// Nothing runs, and something may at any moment: every two.
    Waiting,
    /// Work runs: every two, and the sources of presence that have to be asked ten times a second.
    Running,
}

/// Reads until dropped.
#[derive(Debug)]
pub struct Sensors {
    shared: Arc<Shared>,
}

impl Sensors {
    /// Starts to read. `on_change` gets the first conditions when all has been read once, then a whole new value with
    /// each change of presence and each renewal. It is called from two threads, one at a time: it must be quick, and may
    /// call [`Self::pace`] but not [`Self::want`].
    ///
    /// # Errors
    /// When the threads can't be started. What can't be read is unknown instead.
    pub fn start(wanted: Wanted, on_change: impl Fn(Conditions) + Send + 'static) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let shared = Arc::new(Shared {
            nudge: Arc::new(Notify::new()),
            fast: AtomicBool::new(false),
            running: AtomicBool::new(false),
            watcher: Mutex::new(None),
            state: Mutex::new(State {
                wanted: Arc::new(wanted.clone()),
                generation: 0,
                source: "none",
                shown: nothing_yet(),
                pending: None,
                readings: None,
                disturbed: None,
                on_change: Box::new(on_change),
                stopped: false,
            }),
        });
        let sensors = Self { shared };
        let readers = {
            let _inside = runtime.enter();
            Readers::new(&sensors.shared)?
        };
        sensors.shared.watch(&wanted)?;
        let shared = Arc::clone(&sensors.shared);
        std::thread::Builder::new().name("sensors".into()).spawn(move || renew(&shared, readers, &runtime))?;
        Ok(sensors)
    }

    /// Looks for something else from now on. Presence is unknown until its new source has spoken.
    ///
    /// # Errors
    /// When the watching thread can't be started; presence stays unknown then.
    pub fn want(&self, wanted: Wanted) -> io::Result<()> {
        let before = std::mem::replace(&mut self.shared.state().wanted, Arc::new(wanted.clone()));
        let same = before.source == wanted.source && before.idle_after == wanted.idle_after;
        let watched = if same { Ok(()) } else { self.shared.watch(&wanted) };
        self.shared.nudge.notify_one();
        watched
    }

    /// How often to read from now on. What was slow reads at once.
    pub fn pace(&self, pace: Pace) {
        let (fast, running) = (pace != Pace::Held, pace == Pace::Running);
        if self.shared.running.swap(running, Ordering::AcqRel) != running
            && let Some(watcher) = self.shared.watcher()
        {
            watcher.look_closely(running);
        }
        if !self.shared.fast.swap(fast, Ordering::AcqRel) && fast {
            self.shared.nudge.notify_one();
        }
    }

    /// Time since the last input, asked of the source now; for showing, not for deciding.
    #[must_use]
    pub fn idle(&self) -> Option<Duration> {
        self.shared.watcher()?.idle()
    }

    /// The source of presence in one word.
    #[must_use]
    pub fn source(&self) -> &str {
        self.shared.state().source
    }
}

impl Drop for Sensors {
    fn drop(&mut self) {
        self.shared.state().stopped = true;
        self.shared.nudge.notify_one();
        let watcher = self.shared.watcher.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(watcher);
    }
}

#[derive(Debug)]
struct Shared {
    nudge: Arc<Notify>,
    fast: AtomicBool,
    running: AtomicBool,
    watcher: Mutex<Option<Arc<Watcher>>>,
    /// Held while values are moved and while `on_change` is called, never while something is read.
    state: Mutex<State>,
}

struct State {
    wanted: Arc<Wanted>,
    /// Counts watchers: what an old one still says does not matter.
    generation: u64,
    source: &'static str,
    shown: Presently,
    /// Idleness that waits for a round that began after it.
    pending: Option<Presently>,
    readings: Option<Readings>,
    disturbed: Option<(Disturbance, Instant)>,
    on_change: Box<dyn Fn(Conditions) + Send>,
    stopped: bool,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("wanted", &self.wanted).field("shown", &self.shown).finish_non_exhaustive()
    }
}

/// Presence, and when it was said or confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Presently {
    presence: Presence,
    at: Instant,
}

fn nothing_yet() -> Presently {
    Presently { presence: Presence::Unknown("the source of presence has not spoken yet".into()), at: Instant::now() }
}

/// All but presence.
#[derive(Debug, Clone)]
struct Readings {
    power: Reading<Power>,
    thermal: Reading<Thermal>,
    load: Reading<Load>,
    foreground: Reading<Foreground>,
    network: Reading<Network>,
}

impl State {
    fn deliver(&self) {
        let Some(Readings { power, thermal, load, foreground, network }) = self.readings.clone() else { return };
        if self.stopped {
            return;
        }
        let presence = Reading::new(self.shown.presence.clone(), self.source, self.shown.at);
        let disturbed = self.disturbed;
        (self.on_change)(Conditions { presence, power, thermal, load, foreground, network, disturbed });
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watcher(&self) -> Option<Arc<Watcher>> {
        self.watcher.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the watcher of presence.
    fn watch(self: &Arc<Self>, wanted: &Wanted) -> io::Result<()> {
        let generation = {
            let mut state = self.state();
            state.generation += 1;
            (state.source, state.shown, state.pending) = ("none", nothing_yet(), None);
            state.deliver();
            state.generation
        };
        let shared = Arc::downgrade(self);
        let watcher = Watcher::start(wanted.source, wanted.idle_after, move |presence| {
            if let Some(shared) = shared.upgrade() {
                shared.hear(generation, presence);
            }
        })?;
        self.state().source = watcher.source();
        let watcher = Arc::new(watcher);
        let old = self.watcher.lock().unwrap_or_else(PoisonError::into_inner).replace(Arc::clone(&watcher));
        drop(old);
        // After it is there for `pace` to find, so that neither misses the other's word.
        watcher.look_closely(self.running.load(Ordering::Acquire));
        self.nudge.notify_one();
        Ok(())
    }

    /// Takes what a watcher says, on its own thread. All but idleness goes out at once.
    fn hear(&self, generation: u64, presence: Presence) {
        let mut state = self.state();
        if state.generation != generation {
            return;
        }
        let said = Presently { presence, at: Instant::now() };
        if matches!(said.presence, Presence::IdleSince(_)) {
            state.pending = Some(said);
            drop(state);
            self.nudge.notify_one();
        } else {
            (state.shown, state.pending) = (said, None);
            state.deliver();
        }
    }

    fn disturb(&self, disturbance: Disturbance) {
        tracing::info!(?disturbance, "older readings don't count any more");
        let mut state = self.state();
        state.disturbed = Some((disturbance, Instant::now()));
        state.deliver();
    }
}

/// Reads and waits in turns until told to stop.
fn renew(shared: &Shared, mut readers: Readers, runtime: &Runtime) {
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
struct Readers {
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
    fn new(shared: &Shared) -> io::Result<Self> {
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
