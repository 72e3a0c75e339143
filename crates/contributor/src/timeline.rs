//! The last month without gaps, by state and first reason, with the CPU time that the workers really used.
//!
//! A stretch is written when the state or its first reason changes, and its end now and then, on a thread of its own: what
//! decides never waits for a disk. Each minute a file beside the database gets a new time, by which the last stretch of an
//! engine that was killed has an end. A gap between two looks is a stretch too, which says whether the machine slept, its
//! clock was set or the engine was kept from running; in times that no stretch covers no engine ran.
//! Deliberately absent: what the owner should think of it.

mod record;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use crate::health::looking;
use crate::store::StoreError;

pub(crate) use record::Timeline;

const DAY_MS: u64 = 86_400_000;
/// The longest that the end of the newest stretch may lie behind the present while there is nothing to write but its end,
/// milliseconds.
const TOUCH_EVERY_HELD: u64 = 600_000;
/// A sign of life that is later than this after a stretch says nothing of it, milliseconds.
const LATEST_SIGN: u64 = 2 * TOUCH_EVERY_HELD;
/// The state of times in which there was no engine.
const OFF: &str = "off";
/// A stretch of time with one state and one first reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interval {
    /// Unix milliseconds.
    pub since_ms: u64,
    pub until_ms: u64,
    /// `earning`, `held`, `paused`, `needs_you`; `off` where no engine ran, `asleep` where the machine slept, `clock_set`
    /// where its clock jumped forward, `stood_still` where the engine got no time.
    pub state: String,
    /// The code of the first reason; empty while it runs, and where there is no engine to give one.
    pub reason: String,
    /// CPU time that the workers used in it, measured, milliseconds.
    pub cpu_ms: u64,
}

/// The last `days` days before `now_ms` (unix milliseconds) without gaps, oldest first, from the database at `path`. Nothing
/// is written, and no engine need run; `running` says that one does, and so that it goes on with what it wrote last.
///
/// # Errors
/// When there is a database that can't be read.
pub fn read(path: &Path, days: u64, now_ms: u64, running: bool) -> Result<Vec<Interval>, StoreError> {
    let from = now_ms.saturating_sub(days.saturating_mul(DAY_MS));
    if matches!(path.try_exists(), Ok(false)) {
        return Ok(without_gaps(Vec::new(), from, now_ms));
    }
    let db = looking(path)?;
    let mut query = db
        .prepare("SELECT since_ms, until_ms, state, reason, cpu_ms FROM stretches WHERE until_ms > ? ORDER BY rowid")?;
    let rows = query.query_map([from.cast_signed()], |row| {
        let number = |column| row.get::<_, i64>(column).map(|number| u64::try_from(number).unwrap_or(0));
        Ok(Interval {
            since_ms: number(0)?,
            until_ms: number(1)?,
            state: row.get(2)?,
            reason: row.get(3)?,
            cpu_ms: number(4)?,
        })
    })?;
    let mut rows = rows.collect::<Result<Vec<_>, _>>()?;
    let seen = if running { Some(now_ms) } else { sign_of_life(path) };
    if let (Some(last), Some(seen)) = (rows.last_mut(), seen)
        && seen.saturating_sub(last.until_ms) <= LATEST_SIGN
    {
        last.until_ms = last.until_ms.max(seen);
    }
    Ok(without_gaps(rows, from, now_ms))
}

/// The file whose time says until when there was an engine. It holds nothing.
fn sign(store: &Path) -> PathBuf {
    store.with_extension("alive")
}

/// When there was an engine last, unix milliseconds; `None` when there never was one, or its clock was wrong.
fn sign_of_life(store: &Path) -> Option<u64> {
    let at = std::fs::metadata(sign(store)).ok()?.modified().ok()?;
    let at = at.duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(at.as_millis()).ok()
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

/// Cuts stretches to what lies between `from` and `now`, and fills what none covers. Where the clock was set back, the
/// earlier stretch keeps its time, and gets the CPU time of one that has none left.
fn without_gaps(rows: Vec<Interval>, from: u64, now: u64) -> Vec<Interval> {
    let off = |since_ms, until_ms| Interval { since_ms, until_ms, state: OFF.into(), reason: String::new(), cpu_ms: 0 };
    let mut whole: Vec<Interval> = Vec::new();
    let mut at = from;
    // CPU time of a stretch that has no time, and none before it.
    let mut carried = 0;
    for row in rows {
        let (since_ms, until_ms) = (row.since_ms.max(at), row.until_ms.min(now));
        if until_ms <= since_ms {
            *whole.last_mut().map_or(&mut carried, |before| &mut before.cpu_ms) += row.cpu_ms;
            continue;
        }
        if since_ms > at {
            whole.push(off(at, since_ms));
        }
        let cpu_ms = row.cpu_ms + std::mem::take(&mut carried);
        whole.push(Interval { since_ms, until_ms, cpu_ms, ..row });
        at = until_ms;
    }
    if at < now {
        whole.push(off(at, now));
    }
    whole
}
