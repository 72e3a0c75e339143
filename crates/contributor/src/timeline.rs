//! Every second of the last month by its first reason, as intervals, with the CPU time that the workers really used.
//!
//! A row is written when the state or its first reason changes, and touched now and then, on a thread of its own: what
//! decides never waits for a disk. Each minute a file beside the database gets a new time, by which the row of an engine that
//! was killed has an end. A gap between two looks has a row too, which says whether the machine slept, its clock
//! was set or the engine was kept from running; times in no row are times in which no engine ran.
//! Deliberately absent: what the owner should think of it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};
use surge_platform::disturbance::asleep_so_far;

use crate::health::looking;
use crate::store::{BUSY, StoreError};
use crate::view::{ReasonCode, Snapshot, State};

/// How long it is kept, seconds.
const KEPT: u64 = 31 * DAY;
const DAY: u64 = 86_400;
/// The longest that the end of the current row may lie behind the present, seconds: with CPU time that is not written yet,
/// and without, when there is only the end to write, for which there is a sign of life.
const TOUCH_EVERY: u64 = 60;
const TOUCH_EVERY_HELD: u64 = 600;
/// The longest that the sign of life may lie behind the present, seconds.
const SIGN_EVERY: u64 = 60;
/// More wall-clock than running time between two looks, seconds: the machine slept, or its clock was set.
const JUMP: u64 = 5;
/// The engine looks every second, every two while it is held. After so long without a look something kept it from running, seconds.
const STALLED: u64 = 60;
/// A sign of life that is later than this after a row says nothing of it, seconds.
const LATEST_SIGN: u64 = 2 * TOUCH_EVERY_HELD;
/// The state of times in which there was no engine.
const OFF: &str = "off";
/// The states of a gap: the machine slept; its clock was set forward over it; the engine was kept from running, as by a
/// virtual machine that was frozen.
const ASLEEP: &str = "asleep";
const CLOCK_SET: &str = "clock_set";
const STOOD_STILL: &str = "stood_still";

/// A stretch of time with one state and one first reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interval {
    /// Unix seconds.
    pub since: u64,
    pub until: u64,
    /// `earning`, `held`, `paused`, `needs_you`; `off` where no engine ran, `asleep` where the machine slept, `clock_set`
    /// where its clock jumped forward, `stood_still` where the engine got no time.
    pub state: String,
    /// The code of the first reason; empty while it runs.
    pub reason: String,
    /// CPU time that the workers used in it, measured, milliseconds.
    pub cpu_ms: u64,
}

/// The last `days` days before `now` (unix seconds) without gaps, oldest first, from the database at `path`. Nothing is
/// written, and no engine need run; `running` says that one does, and so that it goes on with what it wrote last.
///
/// # Errors
/// When there is a database that can't be read.
pub fn read(path: &Path, days: u64, now: u64, running: bool) -> Result<Vec<Interval>, StoreError> {
    let from = now.saturating_sub(days.saturating_mul(DAY));
    if matches!(path.try_exists(), Ok(false)) {
        return Ok(without_gaps(Vec::new(), from, now));
    }
    let db = looking(path)?;
    let mut query =
        db.prepare("SELECT since, until, state, reason, cpu_ms FROM timeline WHERE until > ? ORDER BY rowid")?;
    let rows = query.query_map([from.cast_signed()], |row| {
        let number = |column| row.get::<_, i64>(column).map(|number| u64::try_from(number).unwrap_or(0));
        Ok(Interval {
            since: number(0)?,
            until: number(1)?,
            state: row.get(2)?,
            reason: row.get(3)?,
            cpu_ms: number(4)?,
        })
    })?;
    let mut rows = rows.collect::<Result<Vec<_>, _>>()?;
    let seen = if running { Some(now) } else { sign_of_life(path) };
    if let (Some(last), Some(seen)) = (rows.last_mut(), seen)
        && seen.saturating_sub(last.until) <= LATEST_SIGN
    {
        last.until = last.until.max(seen);
    }
    Ok(without_gaps(rows, from, now))
}

/// The file whose time says until when there was an engine. It holds nothing.
fn sign(store: &Path) -> PathBuf {
    store.with_extension("alive")
}

/// When there was an engine last, unix seconds; `None` when there never was one, or its clock was wrong.
fn sign_of_life(store: &Path) -> Option<u64> {
    let at = std::fs::metadata(sign(store)).ok()?.modified().ok()?;
    at.duration_since(UNIX_EPOCH).ok().map(|at| at.as_secs())
}

/// What the owner should know of the engine's own troubles, oldest first: unix seconds and a sentence.
///
/// # Errors
/// When there is a database that can't be read.
pub fn notices(path: &Path) -> Result<Vec<(u64, String)>, StoreError> {
    if matches!(path.try_exists(), Ok(false)) {
        return Ok(Vec::new());
    }
    let db = looking(path)?;
    let mut query = db.prepare("SELECT at, text FROM notices ORDER BY rowid")?;
    let rows = query.query_map([], |row| Ok((u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0), row.get(1)?)))?;
    Ok(rows.collect::<Result<Vec<_>, _>>()?)
}

/// Cuts rows to what lies between `from` and `now`, and fills what no row covers. Where the clock was set back, the
/// earlier row keeps its time.
fn without_gaps(rows: Vec<Interval>, from: u64, now: u64) -> Vec<Interval> {
    let off = |since, until| Interval { since, until, state: OFF.into(), reason: String::new(), cpu_ms: 0 };
    let mut whole: Vec<Interval> = Vec::new();
    let mut at = from;
    for row in rows {
        let (since, until) = (row.since.max(at), row.until.min(now));
        if until <= since {
            continue;
        }
        if since > at {
            whole.push(off(at, since));
        }
        whole.push(Interval { since, until, ..row });
        at = until;
    }
    if at < now {
        whole.push(off(at, now));
    }
    whole
}

/// Writes the timeline.
#[derive(Debug)]
pub(crate) struct Timeline {
    current: Mutex<Current>,
    writer: Option<JoinHandle<()>>,
}

/// What a snapshot says that matters here.
#[derive(Debug)]
struct Look {
    at: u64,
    state: State,
    reason: Option<ReasonCode>,
    /// CPU time of all workers so far, milliseconds.
    worked_ms: u64,
    /// How long the machine has slept so far.
    asleep: Duration,
}

#[derive(Debug)]
struct Current {
    writes: Option<Sender<Write>>,
    row: Option<Interval>,
    /// When it was looked at last, and what was so by then.
    looked: Instant,
    asleep: Duration,
    worked_ms: u64,
    /// What the newest row says by now.
    written_at: u64,
    written_cpu_ms: u64,
    /// When there was a sign of life last; a row is one.
    signed_at: u64,
}

#[derive(Debug, PartialEq, Eq)]
enum Write {
    /// A new row.
    Begin(Interval),
    /// The newest row's end and CPU time.
    Touch { until: u64, cpu_ms: u64 },
    /// That there is an engine now.
    Sign,
}

impl Timeline {
    /// Writes to the database at `path`, which is open already and up to date.
    ///
    /// # Errors
    /// When it can't be opened, or the system refuses a thread.
    pub(crate) fn open(path: &Path, now: u64) -> Result<Self, StoreError> {
        let db = Connection::open(path)?;
        db.busy_timeout(BUSY)?;
        // A row that is lost with the power costs nobody anything: no commit waits for the disk.
        db.pragma_update(None, "synchronous", "NORMAL")?;
        db.execute("DELETE FROM timeline WHERE until < ?", [now.saturating_sub(KEPT).cast_signed()])?;
        if let Some(seen) = sign_of_life(path) {
            // The engine before may have been killed.
            db.execute(
                "UPDATE timeline SET until = ?1
                 WHERE rowid = (SELECT max(rowid) FROM timeline) AND until < ?1 AND until >= ?2",
                [seen.min(now).cast_signed(), seen.saturating_sub(LATEST_SIGN).cast_signed()],
            )?;
        }
        // Without it a kill costs minutes of the timeline, and nothing else.
        let sign = File::create(sign(path)).ok();
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
            at: snapshot.at,
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

impl Current {
    const fn new(writes: Sender<Write>, now: Instant, asleep: Duration) -> Self {
        Self {
            writes: Some(writes),
            row: None,
            looked: now,
            asleep,
            worked_ms: 0,
            written_at: 0,
            written_cpu_ms: 0,
            signed_at: 0,
        }
    }

    fn note(&mut self, look: Look, now: Instant) {
        let Look { at, state, reason, worked_ms, asleep } = look;
        let (state, reason) = (name(&state), reason.as_ref().map(name).unwrap_or_default());
        let used = worked_ms.saturating_sub(std::mem::replace(&mut self.worked_ms, worked_ms));
        let ran = now.duration_since(std::mem::replace(&mut self.looked, now)).as_secs();
        let slept = asleep.saturating_sub(std::mem::replace(&mut self.asleep, asleep)).as_secs();
        if let Some(until) = self.row.as_ref().map(|row| row.until) {
            let gap = gap(until, at, ran, slept);
            if gap.is_some() || at < until {
                self.touch();
                self.row = None;
            }
            if let Some(what) = gap {
                let row = Interval { since: until, until: at, state: what.into(), reason: String::new(), cpu_ms: used };
                self.send(Write::Begin(row));
            }
        }
        match &mut self.row {
            Some(row) if row.state == state && row.reason == reason => {
                row.until = at;
                row.cpu_ms += used;
                let touch_every = if row.cpu_ms > self.written_cpu_ms { TOUCH_EVERY } else { TOUCH_EVERY_HELD };
                if at.saturating_sub(self.written_at) >= touch_every {
                    self.touch();
                } else if at.saturating_sub(self.signed_at) >= SIGN_EVERY {
                    self.signed_at = at;
                    self.send(Write::Sign);
                }
            }
            row => {
                if let Some(row) = row {
                    // What was used until this moment belongs to the state that ends with it.
                    row.until = at;
                    row.cpu_ms += used;
                    self.touch();
                }
                let row = Interval { since: at, until: at, state, reason, cpu_ms: 0 };
                self.send(Write::Begin(row.clone()));
                self.row = Some(row);
            }
        }
    }

    fn touch(&mut self) {
        if let Some(Interval { until, cpu_ms, .. }) = self.row {
            (self.written_at, self.signed_at, self.written_cpu_ms) = (until, until, cpu_ms);
            self.send(Write::Touch { until, cpu_ms });
        }
    }

    fn send(&mut self, write: Write) {
        if let Write::Begin(row) = &write {
            (self.written_at, self.signed_at, self.written_cpu_ms) = (row.until, row.until, row.cpu_ms);
        }
        if let Some(writes) = &self.writes {
            // The thread ends after this.
            let _ = writes.send(write);
        }
    }
}

/// What lies between a look at `until` and the next at `at`, when that is no ordinary second. Meanwhile the engine could
/// run for `ran` seconds, and the machine slept for `slept`.
fn gap(until: u64, at: u64, ran: u64, slept: u64) -> Option<&'static str> {
    let passed = at.checked_sub(until)?;
    match passed {
        _ if slept > JUMP && passed > JUMP => Some(ASLEEP),
        _ if passed > ran + JUMP => Some(CLOCK_SET),
        _ if passed > STALLED => Some(STOOD_STILL),
        _ => None,
    }
}

/// The stable name that programs see.
fn name(word: &impl Serialize) -> String {
    serde_json::to_value(word).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

fn write(db: &Connection, sign: Option<&File>, inbox: &Receiver<Write>) {
    while let Ok(write) = inbox.recv() {
        let written = match write {
            Write::Begin(Interval { since, until, state, reason, cpu_ms }) => db.execute(
                "INSERT INTO timeline (since, until, state, reason, cpu_ms) VALUES (?, ?, ?, ?, ?)",
                params![since.cast_signed(), until.cast_signed(), state, reason, cpu_ms.cast_signed()],
            ),
            Write::Touch { until, cpu_ms } => db.execute(
                "UPDATE timeline SET until = ?, cpu_ms = ? WHERE rowid = (SELECT max(rowid) FROM timeline)",
                params![until.cast_signed(), cpu_ms.cast_signed()],
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

#[cfg(test)]
mod tests;
