//! Writes the timeline: what each look of the engine shows becomes stretches.
//!
//! CPU time is put on the state in which it was used. Workers start and end between two looks, so that a look finds CPU time
//! of a task although the looks before and after it saw none: then there was a stretch of work, as long as that time.

use std::fs::File;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use rusqlite::{Connection, params};
use serde::Serialize;
use surge_platform::disturbance::asleep_so_far;

use super::{DAY_MS, Interval, LATEST_SIGN, TOUCH_EVERY_HELD, sign, sign_of_life};
use crate::clock::unix_now_ms;
use crate::private;
use crate::store::{BUSY, StoreError};
use crate::view::{ReasonCode, Snapshot, State};

/// How long it is kept, milliseconds.
const KEPT: u64 = 31 * DAY_MS;
/// The longest that CPU time may wait to be written, milliseconds. A new stretch is written after a second, after two, and
/// so on up to this: also of an engine that is killed soon there is something to see.
const TOUCH_EVERY: u64 = 60_000;
const FIRST_TOUCH: u64 = 1_000;
/// The longest that the sign of life may lie behind the present, milliseconds.
pub(super) const SIGN_EVERY: u64 = 60_000;
/// More wall-clock than running time between two looks, milliseconds: the machine slept, or its clock was set.
const JUMP: u64 = 5_000;
/// The engine looks every second, every two while it is held. After so long without a look something kept it from running,
/// milliseconds.
const STALLED: u64 = 60_000;
/// CPU time between two looks that no held worker uses, milliseconds: it takes less to start one, and to suspend it.
pub(super) const WORKED: u64 = 100;
/// The states of a gap: the machine slept; its clock was set forward over it; the engine was kept from running, as by a
/// virtual machine that was frozen.
pub(super) const ASLEEP: &str = "asleep";
pub(super) const CLOCK_SET: &str = "clock_set";
pub(super) const STOOD_STILL: &str = "stood_still";

/// Writes the timeline.
#[derive(Debug)]
pub(crate) struct Timeline {
    pub(super) current: Mutex<Current>,
    writer: Option<JoinHandle<()>>,
}

/// What a look shows that matters here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    /// Unix milliseconds.
    pub(super) at: u64,
    pub(super) state: State,
    pub(super) reason: Option<ReasonCode>,
    /// CPU time of all workers so far, milliseconds.
    pub(super) worked_ms: u64,
    /// How long the machine has slept so far.
    pub(super) asleep: Duration,
}

#[derive(Debug)]
pub(super) struct Current {
    writes: Option<Sender<Write>>,
    /// The newest stretch.
    pub(super) stretch: Option<Interval>,
    /// When it was looked at last, and what was so by then.
    looked: Instant,
    asleep: Duration,
    worked_ms: u64,
    /// What the database says of the newest stretch by now.
    written_at: u64,
    written_cpu_ms: u64,
    /// CPU time of the newest stretch is written after so long.
    touch_after: u64,
    /// When there was a sign of life last; what is written is one.
    signed_at: u64,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Write {
    /// A new stretch.
    Begin(Interval),
    /// The newest stretch's end and CPU time.
    Touch { until_ms: u64, cpu_ms: u64 },
    /// That there is an engine now.
    Sign,
}

impl Timeline {
    /// Writes to the database at `path`, which is open already and up to date. `now_ms`: unix milliseconds.
    ///
    /// # Errors
    /// When it can't be opened, or the system refuses a thread.
    pub(crate) fn open(path: &Path, now_ms: u64) -> Result<Self, StoreError> {
        let db = Connection::open(path)?;
        db.busy_timeout(BUSY)?;
        // A stretch that is lost with the power costs nobody anything: no commit waits for the disk.
        db.pragma_update(None, "synchronous", "NORMAL")?;
        db.execute("DELETE FROM stretches WHERE until_ms < ?", [now_ms.saturating_sub(KEPT).cast_signed()])?;
        if let Some(seen) = sign_of_life(path) {
            // The engine before may have been killed.
            db.execute(
                "UPDATE stretches SET until_ms = ?1
                 WHERE rowid = (SELECT max(rowid) FROM stretches) AND until_ms < ?1 AND until_ms >= ?2",
                [seen.min(now_ms).cast_signed(), seen.saturating_sub(LATEST_SIGN).cast_signed()],
            )?;
        }
        // Without it a kill costs minutes of the timeline, and nothing else.
        let sign = private::file(&sign(path)).ok();
        if let Some(sign) = &sign {
            let _ = sign.set_modified(SystemTime::now());
        }
        let (writes, inbox) = mpsc::channel();
        let writer = Builder::new()
            .name("timeline".into())
            .stack_size(256 << 10)
            .spawn(move || write(&db, sign.as_ref(), &inbox));
        let current = Current::new(writes, Instant::now(), asleep_so_far());
        Ok(Self { current: Mutex::new(current), writer: Some(writer.map_err(StoreError::Thread)?) })
    }

    /// Notes the state of this moment. Cheap: mostly it only remembers.
    pub(crate) fn note(&self, snapshot: &Snapshot) {
        let look = Look {
            at: unix_now_ms(),
            state: snapshot.state,
            reason: snapshot.reasons.first().map(|reason| reason.code),
            worked_ms: snapshot.worked_ms,
            asleep: asleep_so_far(),
        };
        self.current.lock().unwrap_or_else(PoisonError::into_inner).note(look, Instant::now());
    }
}

impl Drop for Timeline {
    fn drop(&mut self) {
        {
            let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            current.touch();
            current.writes = None;
        }
        if let Some(writer) = self.writer.take() {
            // A panic of that thread was reported where it happened.
            let _ = writer.join();
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Current {
    pub(super) const fn new(writes: Sender<Write>, now: Instant, asleep: Duration) -> Self {
        Self {
            writes: Some(writes),
            stretch: None,
            looked: now,
            asleep,
            worked_ms: 0,
            written_at: 0,
            written_cpu_ms: 0,
            touch_after: FIRST_TOUCH,
            signed_at: 0,
        }
    }

    pub(super) fn note(&mut self, look: Look, now: Instant) {
        let at = look.at;
        let mut used = look.worked_ms.saturating_sub(std::mem::replace(&mut self.worked_ms, look.worked_ms));
        let ran = millis(now.duration_since(std::mem::replace(&mut self.looked, now)));
        let slept = millis(look.asleep.saturating_sub(std::mem::replace(&mut self.asleep, look.asleep)));
        let earning = name(&State::Earning);
        if let Some((mut until, works)) = self.newest(&earning) {
            let gap = gap(until, at, ran, slept);
            if gap.is_some() || at < until {
                // What was used was used before the gap.
                let used = std::mem::take(&mut used);
                if works || used < WORKED || gap.is_none() {
                    self.extend(until, used);
                    self.touch();
                } else {
                    let since_ms = until;
                    until += used.min(ran).min(at - until);
                    self.begin(Interval { since_ms, until_ms: until, cpu_ms: used, ..stretch(&earning) });
                }
            }
            if let Some(what) = gap {
                self.begin(Interval { since_ms: until, until_ms: at, ..stretch(what) });
            }
            if gap.is_some() || at < until {
                self.stretch = None;
            }
        }
        match self.newest(&earning) {
            Some((until, false)) if used >= WORKED => {
                // A task ran since the look before.
                let since_ms = at - used.min(at - until);
                self.extend(since_ms, 0);
                self.begin(Interval { since_ms, until_ms: at, cpu_ms: used, ..stretch(&earning) });
            }
            Some(_) => self.extend(at, used),
            None if used > 0 => {
                let since_ms = at.saturating_sub(used);
                self.begin(Interval { since_ms, until_ms: at, cpu_ms: used, ..stretch(&earning) });
            }
            None => {}
        }
        let (state, reason) = shown(&look);
        if self.stretch.as_ref().is_none_or(|stretch| (&stretch.state, &stretch.reason) != (&state, &reason)) {
            self.begin(Interval { since_ms: at, until_ms: at, state, reason, cpu_ms: 0 });
            return;
        }
        self.write_now_and_then(at);
    }

    /// The newest stretch's end, and whether tasks run in it.
    fn newest(&self, earning: &str) -> Option<(u64, bool)> {
        self.stretch.as_ref().map(|stretch| (stretch.until_ms, stretch.state == earning))
    }

    fn extend(&mut self, until_ms: u64, used: u64) {
        if let Some(stretch) = &mut self.stretch {
            stretch.until_ms = until_ms;
            stretch.cpu_ms += used;
        }
    }

    fn begin(&mut self, stretch: Interval) {
        self.touch();
        (self.written_at, self.signed_at, self.written_cpu_ms) = (stretch.until_ms, stretch.until_ms, stretch.cpu_ms);
        self.touch_after = FIRST_TOUCH;
        self.stretch = Some(stretch.clone());
        self.send(Write::Begin(stretch));
    }

    fn write_now_and_then(&mut self, at: u64) {
        let cpu_ms = self.stretch.as_ref().map_or(0, |stretch| stretch.cpu_ms);
        let touch_after = if cpu_ms > self.written_cpu_ms { self.touch_after } else { TOUCH_EVERY_HELD };
        if at.saturating_sub(self.written_at) >= touch_after {
            self.touch_after = (self.touch_after * 2).min(TOUCH_EVERY);
            self.touch();
        } else if at.saturating_sub(self.signed_at) >= SIGN_EVERY {
            self.signed_at = at;
            self.send(Write::Sign);
        }
    }

    /// Writes the newest stretch's end and CPU time, if they have changed.
    pub(super) fn touch(&mut self) {
        let Some(Interval { until_ms, cpu_ms, .. }) = self.stretch else { return };
        if (until_ms, cpu_ms) == (self.written_at, self.written_cpu_ms) {
            return;
        }
        (self.written_at, self.signed_at, self.written_cpu_ms) = (until_ms, until_ms, cpu_ms);
        self.send(Write::Touch { until_ms, cpu_ms });
    }

    fn send(&self, write: Write) {
        if let Some(writes) = &self.writes {
            // The thread ends after this.
            let _ = writes.send(write);
        }
    }
}

/// State and first reason of a look. What is held without another reason is about to work.
fn shown(look: &Look) -> (String, String) {
    let reason = match look.state {
        State::Earning => look.reason,
        State::Held | State::Paused | State::NeedsYou | State::Unknown => look.reason.or(Some(ReasonCode::Starting)),
    };
    (name(&look.state), reason.as_ref().map(name).unwrap_or_default())
}

/// What lies between a look at `until` and the next at `at`, when that is no ordinary time. Meanwhile the engine could run
/// for `ran`, and the machine slept for `slept`; all in milliseconds.
fn gap(until: u64, at: u64, ran: u64, slept: u64) -> Option<&'static str> {
    let passed = at.checked_sub(until)?;
    match passed {
        _ if slept > JUMP && passed > JUMP => Some(ASLEEP),
        _ if passed > ran + JUMP => Some(CLOCK_SET),
        _ if passed > STALLED => Some(STOOD_STILL),
        _ => None,
    }
}

/// A stretch in a state that needs no reason.
fn stretch(state: &str) -> Interval {
    Interval { since_ms: 0, until_ms: 0, state: state.to_owned(), reason: String::new(), cpu_ms: 0 }
}

/// The stable name that programs see.
fn name(word: &impl Serialize) -> String {
    serde_json::to_value(word).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

fn write(db: &Connection, sign: Option<&File>, inbox: &Receiver<Write>) {
    while let Ok(write) = inbox.recv() {
        let written = match write {
            Write::Begin(Interval { since_ms, until_ms, state, reason, cpu_ms }) => db.execute(
                "INSERT INTO stretches (since_ms, until_ms, state, reason, cpu_ms) VALUES (?, ?, ?, ?, ?)",
                params![since_ms.cast_signed(), until_ms.cast_signed(), state, reason, cpu_ms.cast_signed()],
            ),
            Write::Touch { until_ms, cpu_ms } => db.execute(
                "UPDATE stretches SET until_ms = ?, cpu_ms = ? WHERE rowid = (SELECT max(rowid) FROM stretches)",
                params![until_ms.cast_signed(), cpu_ms.cast_signed()],
            ),
            Write::Sign => {
                if let Some(sign) = sign {
                    let _ = sign.set_modified(SystemTime::now());
                }
                continue;
            }
        };
        if let Err(error) = written {
            tracing::debug!(%error, "The timeline has a gap");
        }
    }
}
