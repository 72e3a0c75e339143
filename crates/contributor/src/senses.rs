//! The conditions as far as this machine's presence watcher and load meter tell them: one value, handed over at every
//! change of presence and at its own pace besides.
//!
//! Deliberately absent: power, temperature, foreground and network, which have no reader here. They are reported
//! with the source `none`.

use std::collections::BTreeSet;
use std::io;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use surge_platform::conditions::{Conditions, Foreground, Network, Power, Reading, Thermal};
use surge_platform::load::{Load, LoadMeter};
use surge_platform::presence::{Presence, Source, Watcher};

/// What to watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) source: Source,
    /// Time without input after which the owner counts as away.
    pub(crate) idle_after: Duration,
    /// Programs whose running is told.
    pub(crate) excluded: BTreeSet<String>,
}

/// How often readings are taken that no event announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    Held,
    Running,
}

impl Pace {
    const fn period(self) -> Duration {
        match self {
            Self::Held => Duration::from_secs(10),
            Self::Running => Duration::from_secs(1),
        }
    }
}

type OnChange = Arc<dyn Fn(Conditions) + Send + Sync>;

/// Reads until dropped.
pub(crate) struct Senses {
    watch: Arc<Mutex<Watch>>,
    pace: mpsc::Sender<Pace>,
    on_change: OnChange,
}

impl std::fmt::Debug for Senses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Senses").finish_non_exhaustive()
    }
}

/// The watcher of presence, and what is known.
#[derive(Debug)]
struct Watch {
    watcher: Option<Watcher>,
    /// A watcher that was replaced may report once more: only the newest counts.
    generation: u64,
    conditions: Conditions,
}

impl Senses {
    /// Starts to read. `on_change` is called from threads of its own.
    ///
    /// # Errors
    /// When a thread can't be started, or this system's load can't be read.
    pub(crate) fn start(wanted: Wanted, on_change: impl Fn(Conditions) + Send + Sync + 'static) -> io::Result<Self> {
        let meter = LoadMeter::new()?;
        let watch = Watch { watcher: None, generation: 0, conditions: unknown(Instant::now()) };
        let (pace, paces) = mpsc::channel();
        let senses = Self { watch: Arc::new(Mutex::new(watch)), pace, on_change: Arc::new(on_change) };
        senses.want(wanted)?;
        let (watch, on_change) = (Arc::clone(&senses.watch), Arc::clone(&senses.on_change));
        std::thread::Builder::new().name("senses".into()).spawn(move || read(meter, &paces, &watch, &on_change))?;
        Ok(senses)
    }

    /// Watches something else from now on.
    ///
    /// # Errors
    /// When a thread can't be started.
    pub(crate) fn want(&self, wanted: Wanted) -> io::Result<()> {
        let generation = {
            let mut watch = lock(&self.watch);
            watch.generation += 1;
            watch.watcher = None;
            watch.generation
        };
        let (shared, on_change) = (Arc::clone(&self.watch), Arc::clone(&self.on_change));
        let source = if wanted.source == Source::Headless { "headless" } else { "x11" };
        let watcher = Watcher::start(wanted.source, wanted.idle_after, move |presence| {
            let mut watch = lock(&shared);
            if watch.generation == generation {
                watch.conditions.presence = Reading::new(presence, source, Instant::now());
                let conditions = watch.conditions.clone();
                drop(watch);
                on_change(conditions);
            }
        })?;
        let mut watch = lock(&self.watch);
        if watch.generation == generation {
            watch.watcher = Some(watcher);
        }
        Ok(())
    }

    /// The source of presence in one word.
    pub(crate) fn source(&self) -> &'static str {
        lock(&self.watch).watcher.as_ref().map_or("none", Watcher::source)
    }

    /// Time since the last input, for showing.
    pub(crate) fn idle(&self) -> Option<Duration> {
        lock(&self.watch).watcher.as_ref().and_then(Watcher::idle)
    }

    pub(crate) fn pace(&self, pace: Pace) {
        // The reader is gone only when this is.
        let _ = self.pace.send(pace);
    }
}

fn lock(watch: &Mutex<Watch>) -> MutexGuard<'_, Watch> {
    watch.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read(mut meter: LoadMeter, paces: &mpsc::Receiver<Pace>, watch: &Mutex<Watch>, on_change: &OnChange) {
    let mut pace = Pace::Running;
    loop {
        match paces.recv_timeout(pace.period()) {
            Ok(wanted) => pace = wanted,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let load = meter.read();
        let conditions = {
            let mut watch = lock(watch);
            let now = Instant::now();
            watch.conditions.load = Reading::new(load, "proc", now);
            watch.confirm(now);
            watch.conditions.clone()
        };
        on_change(conditions);
    }
}

impl Watch {
    /// Asks the source whether what it last told is still so.
    fn confirm(&mut self, now: Instant) {
        let Some(idle) = self.watcher.as_ref().and_then(Watcher::idle) else { return };
        let presence = &mut self.conditions.presence;
        match presence.value {
            // Input whose event has not come yet.
            Presence::IdleSince(since) if now - idle > since + Duration::from_secs(1) => {
                presence.value = Presence::Active
            }
            _ => {}
        }
        presence.at = now;
    }
}

fn unknown(now: Instant) -> Conditions {
    let presence = Presence::Unknown("the first reading is not there yet".into());
    Conditions {
        presence: Reading::new(presence, "none", now),
        power: Reading::new(Power::Mains, "none", now),
        thermal: Reading::new(Thermal { celsius: None, critical: None, frequency: None }, "none", now),
        load: Reading::new(Load { cpu_percent: 100.0, available_bytes: u64::MAX }, "none", now),
        foreground: Reading::new(Foreground::default(), "none", now),
        network: Reading::new(Network::Unknown, "none", now),
        disturbed: None,
    }
}
