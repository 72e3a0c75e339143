//! Reads everything in rounds, and sleeps in between until there is something to read.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::sync::Notify;

use super::files::{Files, LOAD_WINDOW, Wanted as WantedFiles};
use super::shared::{Presently, Readings, Shared};
use super::{Wanted, os};
use crate::alarm::Alarm;
use crate::conditions::Reading;
use crate::disturbance::Clocks;
use crate::presence::{Presence, Source, Surroundings};
use crate::{foreground, network};

/// How often all is read while nothing runs.
const WHILE_HELD: Duration = Duration::from_secs(10);
/// How often while work runs, and warms the processor, or is about to run.
const WHILE_RUNNING: Duration = Duration::from_secs(2);
/// How old what was read may be while nothing runs but may at any moment: between two such rounds presence alone is
/// confirmed.
const READ_WHILE_WAITING: Duration = Duration::from_secs(4);
/// Longer than any round takes in which a service does not answer and a sensor hangs.
const LONGEST_ROUND: Duration = Duration::from_secs(30);
/// What a source of presence may be behind when it is asked.
const BEHIND: Duration = Duration::from_secs(1);

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
    let mut nothing_happened = false;
    let mut read_at = None::<Instant>;
    loop {
        let (wanted, urgent) = {
            let state = shared.state();
            if state.stopped {
                return;
            }
            (Arc::clone(&state.wanted), disturbed || state.pending.is_some())
        };
        let began = Instant::now();
        let waiting = shared.fast.load(Ordering::Acquire) && !shared.running.load(Ordering::Acquire);
        let recent = read_at.is_some_and(|read_at| read_at.elapsed() + LOAD_WINDOW < READ_WHILE_WAITING);
        let readings = if waiting && recent && nothing_happened && !urgent {
            None
        } else {
            runtime.block_on(readers.services.ask(urgent));
            read_at = Some(began);
            let _inside = runtime.enter();
            Some(readers.read(&wanted))
        };
        let confirmed = readers.confirm(shared);
        {
            let mut state = shared.state();
            state.readings = readings.or(state.readings.take());
            if let Some(idle) = state.pending.take_if(|idle| idle.at <= began) {
                state.shown = idle;
            } else if let Some(confirmed) = confirmed.filter(|confirmed| confirmed.presence == state.shown.presence) {
                state.shown = confirmed;
            }
            state.deliver();
        }
        let in_round = check(LONGEST_ROUND);

        let pace = match (readers.files.load_known(), shared.fast.load(Ordering::Acquire)) {
            (false, _) => LOAD_WINDOW,
            (true, true) => WHILE_RUNNING,
            (true, false) => WHILE_HELD,
        };
        let wait = if in_round.is_some() { Duration::ZERO } else { pace };
        nothing_happened = runtime.block_on(readers.wait(&shared.wake_up, wait));
        disturbed = in_round.or(check(pace)).is_some();
    }
}

/// All that is read, but presence.
#[derive(Debug)]
pub(super) struct Readers {
    around: Surroundings,
    services: os::Services,
    watch: foreground::Watch,
    alarm: Alarm,
    files: Files,
    /// When all was known of the foreground.
    foreground_at: Instant,
    /// The watcher that has answered when it was asked how long nobody did anything.
    answers: Option<u64>,
}

impl Readers {
    /// Must be called inside the runtime.
    pub(super) fn new(around: &Surroundings, shared: &Shared) -> io::Result<Self> {
        Ok(Self {
            around: around.clone(),
            services: os::Services::new(around, &shared.wake_up),
            watch: foreground::Watch::new(around),
            alarm: Alarm::new()?,
            files: Files::new(),
            foreground_at: Instant::now(),
            answers: None,
        })
    }

    /// Must be called inside the runtime.
    fn read(&mut self, wanted: &Wanted) -> Readings {
        let question = self.watch.question(&self.around, &wanted.excluded);
        // On a machine that nobody sits at, and for an engine that belongs to no session, no display is asked.
        let windows = wanted.source == Source::Auto;
        self.files.read(question, WantedFiles { route: self.services.network().is_none(), windows });
        let told = self.services.told();
        let board = &mut self.files.board;
        let foreground = self.watch.read(&mut board.seen, wanted.idle_after, &told);
        // What a service does not confirm any more gets old.
        let at = if told.stale { self.foreground_at } else { self.files.foreground_at };
        self.foreground_at = at;
        Readings {
            power: board.power.clone(),
            thermal: board.thermal.clone(),
            load: board.load.clone(),
            foreground: Reading::new(foreground, board.seen.source(), at),
            network: self.services.network().map_or_else(|| board.route.clone(), network::told),
        }
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
        Some(Presently { presence, source: shared.source(), at })
    }

    /// Sleeps until there is something to read; whether the time just went by.
    async fn wait(&mut self, wake_up: &Notify, pace: Duration) -> bool {
        tokio::select! {
            () = wake_up.notified() => false,
            () = tokio::time::sleep(pace) => true,
            () = self.alarm.rung() => false,
            () = self.watch.stirred() => false,
        }
    }
}
