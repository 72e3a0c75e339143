//! What the engine costs: memory, CPU time and wake-ups while it waits for work, is held by an owner who types, and works.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::bed::{Bed, WORKERS};
use super::boinc::Boinc;
use super::condition::Condition;
use super::hand::{Hand, Seat};
use crate::network::wait_for;
use crate::process::{self, Clock};

/// Keys of an owner who types, a second.
const KEYS: u32 = 5;
/// What was started is quiet after this.
const SETTLE: Duration = Duration::from_secs(10);

/// Three states for `seconds` each, with BOINC's client on the same display where it is installed.
///
/// # Errors
/// When a program does not do its part.
pub fn footprint(seat: Seat, seconds: u64, mut say: impl FnMut(&str)) -> Result<Value> {
    let folder = tempfile::tempdir()?;
    let hand = Hand::at(seat)?;
    let bed = Bed::start(folder.path(), &hand, Condition::Quiet)?;
    let boinc = match hand.x11() {
        Some(display) => Boinc::start(&folder.path().join("boinc"), display)?,
        None => None,
    };
    if let Some(boinc) = &boinc {
        boinc.run(true)?;
    }
    let mut everybody = vec![("surge", bed.engine())];
    everybody.extend(bed.reporter().map(|reporter| ("reporter", reporter)));
    everybody.extend(boinc.iter().map(|boinc| ("boinc", boinc.client())));
    let time = Duration::from_secs(seconds);
    let rest = || {
        sleep(time);
        Ok(())
    };
    let typing = || type_for(&hand, time);

    // Nobody here, nothing to do: the long poll is open.
    sleep(SETTLE);
    let waiting = measure(&everybody, "waiting", rest, &mut say)?;
    bed.order()?;
    wait_for("the workers", || (bed.workers().len() == WORKERS).then_some(()));
    sleep(SETTLE);
    let working = measure(&everybody, "working", rest, &mut say)?;
    type_for(&hand, SETTLE)?;
    let held = measure(&everybody, "held", typing, &mut say)?;
    let suspended = bed.workers().iter().map(|pid| process::pss_kib(*pid)).collect::<Result<Vec<_>>>()?;
    let rows = [waiting, working, held].concat();
    Ok(json!({
        "seat": format!("{seat:?}").to_lowercase(), "seconds": seconds, "keys_per_second": KEYS,
        "boinc_version": boinc.map(|boinc| boinc.version.clone()),
        "rows": rows, "suspended_workers_pss_kib": suspended,
    }))
}

/// Strokes keys at an even pace.
fn type_for(hand: &Hand, time: Duration) -> Result<()> {
    let begun = Instant::now();
    for stroke in 1.. {
        if begun.elapsed() >= time {
            break;
        }
        hand.stroke()?;
        sleep((stroke * Duration::from_secs(1) / KEYS).saturating_sub(begun.elapsed()));
    }
    Ok(())
}

/// What each of `everybody` used while `meanwhile` went on.
fn measure(
    everybody: &[(&'static str, u32)],
    state: &'static str,
    meanwhile: impl FnOnce() -> Result<()>,
    say: &mut impl FnMut(&str),
) -> Result<Vec<Value>> {
    let read = |pid: u32| -> Result<(Duration, u64)> {
        Ok((Clock::of(pid)?.now().context("it has ended")?, process::sleeps(pid)?))
    };
    let before = everybody.iter().map(|(_, pid)| read(*pid)).collect::<Result<Vec<_>>>()?;
    let begun = Instant::now();
    meanwhile()?;
    let seconds = begun.elapsed().as_secs_f64();
    let mut rows = Vec::new();
    for ((who, pid), (cpu, sleeps)) in everybody.iter().zip(before) {
        let (cpu_after, sleeps_after) = read(*pid)?;
        let pss_kib = process::pss_kib(*pid)?;
        let row = json!({
            "who": who, "state": state, "pss_kib": pss_kib,
            "cpu_percent": 100.0 * (cpu_after - cpu).as_secs_f64() / seconds,
            "wakeups_per_s": (sleeps_after - sleeps) as f64 / seconds,
        });
        say(&row.to_string());
        rows.push(row);
    }
    Ok(rows)
}
