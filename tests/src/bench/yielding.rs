//! How long work goes on after the owner's first input.
//!
//! A trial waits until all workers compute, and a random moment more; sends one event; reads every worker's CPU clock as
//! often as the kernel lets it; and takes the last time at which one of them had moved. It counts only if all of them
//! had computed within the 5 ms before.
//!
//! Beside programs that take all processors, workers compute too seldom for that. There a trial begins when one is not
//! stopped, counts what is spawned meanwhile too, and lasts until all are seen stopped or gone, which is never sooner.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::bed::{Bed, WORKERS};
use super::boinc::Boinc;
use super::condition::Condition;
use super::hand::{Hand, Seat};
use crate::process::{self, Clock};

/// Between two readings, beside what the reading takes.
const LOOK_EVERY: Duration = Duration::from_micros(100);
/// Work has ended when no clock moved for so long.
const QUIET: Duration = Duration::from_millis(300);
/// BOINC's program looks for its client's word ten times a second, also while it is suspended: less than this is not work.
const BOINC_QUIET: Duration = Duration::from_millis(600);
const BOINC_TICKS: Duration = Duration::from_millis(5);
/// What all must have computed in, before the input.
const BEFORE: Duration = Duration::from_millis(5);
/// Work that goes on for so long was not stopped by the input: the trial counts as so long.
const LONGEST: Duration = Duration::from_secs(10);
/// After so many trials without an end a row is given up: it is told what it is like.
const MOST_ENDLESS: u32 = 5;
/// A worker that does not come back for so long never does.
const PATIENCE: Duration = Duration::from_secs(120);
/// Trials of Surge between two blocks of BOINC's, and the trials of such a block.
const BLOCK: usize = 25;
const BOINC_BLOCK: usize = 5;

/// `trials` of Surge at `seat` in a `condition`; when it is quiet, with BOINC's client between them where it is installed.
///
/// # Errors
/// When a program does not do its part.
pub fn yielding(seat: Seat, condition: Condition, trials: usize, mut say: impl FnMut(&str)) -> Result<Value> {
    let folder = tempfile::tempdir()?;
    let hand = Hand::at(seat)?;
    let bed = Bed::start(folder.path(), &hand, condition)?;
    bed.order()?;
    let boinc = match hand.x11().filter(|_| seat == Seat::X11 && condition == Condition::Quiet) {
        Some(display) => Boinc::start(&folder.path().join("boinc"), display)?,
        None => None,
    };
    let _ = all_compute(|| bed.workers(), WORKERS)?;
    let waiting = bed.strain()?;
    let others = condition.others()?;
    let mut found = Found::default();
    while found.surge.len() < trials && found.endless < MOST_ENDLESS {
        for _ in 0..BLOCK.min(trials - found.surge.len()) {
            match condition {
                Condition::Spawn => found.take_among_others(&bed, &hand)?,
                _ => found.take_surge(&bed, &hand)?,
            }
        }
        if let Some(boinc) = &boinc {
            bed.pause();
            boinc.run(true)?;
            for _ in 0..BOINC_BLOCK {
                found.take_boinc(boinc, &hand)?;
            }
            boinc.run(false)?;
            bed.resume();
        }
        say(&format!(
            "{} of {trials} trials, {} of BOINC's client; {} events met a worker that did not compute",
            found.surge.len(),
            found.boinc.len(),
            found.idle_before
        ));
    }
    let ms = |all: &[Duration]| all.iter().map(|time| time.as_secs_f64() * 1e3).collect::<Vec<_>>();
    let word = |value: &dyn std::fmt::Debug| format!("{value:?}").to_lowercase();
    Ok(json!({
        "seat": word(&seat), "condition": word(&condition), "workers": WORKERS,
        "surge_ms": ms(&found.surge), "boinc_ms": ms(&found.boinc),
        "boinc_version": boinc.map(|boinc| boinc.version.clone()),
        "not_all_computed_before": found.idle_before, "not_stopped_after": found.running_after,
        "without_end": found.endless, "disk_operations_waiting": waiting, "other_programs": others.count(),
        "met_a_spawn": found.spawning,
    }))
}

#[derive(Debug, Default)]
struct Found {
    surge: Vec<Duration>,
    boinc: Vec<Duration>,
    /// Events into a moment in which not all workers computed: they tell nothing.
    idle_before: u32,
    /// Trials after which a worker was not stopped, but only silent.
    running_after: u32,
    /// Trials in which work went on for [`LONGEST`].
    endless: u32,
    /// Trials in which a worker came to be between the input and the end of work.
    spawning: u32,
    number: usize,
}

impl Found {
    fn take_surge(&mut self, bed: &Bed, hand: &Hand) -> Result<()> {
        loop {
            let workers = all_compute(|| bed.workers(), WORKERS)?;
            self.linger();
            let clocks = workers.iter().map(|pid| Clock::of(*pid)).collect::<Result<Vec<_>>>()?;
            let time = self.touch(hand, &clocks, QUIET, Duration::ZERO)?;
            let Some(time) = time else { continue };
            if time < LONGEST && !workers.iter().all(|pid| process::stopped(*pid)) {
                self.running_after += 1;
                continue;
            }
            self.surge.push(time);
            return Ok(());
        }
    }

    /// A trial among other programs.
    fn take_among_others(&mut self, bed: &Bed, hand: &Hand) -> Result<()> {
        let running = |pid: &u32| !process::stopped(*pid);
        let begun = Instant::now();
        while !bed.workers().iter().any(running) {
            if begun.elapsed() > PATIENCE {
                bail!("no worker ran within {PATIENCE:?}");
            }
            sleep(Duration::from_millis(50));
        }
        self.linger();
        let before = bed.workers();
        if !before.iter().any(running) {
            self.idle_before += 1;
            return Ok(());
        }
        self.number += 1;
        let input = hand.touch(self.number)?;
        let mut clocks = BTreeMap::new();
        let mut cpu = Duration::ZERO;
        let mut moved = input;
        loop {
            let workers = bed.workers();
            let at = Instant::now();
            for pid in &workers {
                // One that has ended meanwhile has no clock.
                let now = Clock::of(*pid).ok().and_then(Clock::now);
                clocks.extend(now.map(|now| (*pid, now)));
            }
            let sum = clocks.values().sum();
            if sum > cpu || workers.iter().any(running) {
                (cpu, moved) = (sum, at);
            }
            if at - moved >= QUIET || at - input > LONGEST {
                break;
            }
            sleep(LOOK_EVERY);
        }
        hand.lift()?;
        self.spawning += u32::from(clocks.keys().any(|pid| !before.contains(pid)));
        self.endless += u32::from(moved - input >= LONGEST);
        self.surge.push((moved - input).min(LONGEST));
        Ok(())
    }

    fn take_boinc(&mut self, boinc: &Boinc, hand: &Hand) -> Result<()> {
        loop {
            let task = all_compute(|| boinc.tasks(), 1)?;
            self.linger();
            let clocks = [Clock::of(task[0])?];
            if let Some(time) = self.touch(hand, &clocks, BOINC_QUIET, BOINC_TICKS)? {
                self.boinc.push(time);
                return Ok(());
            }
        }
    }

    /// A pause of half a second at most, so that the input falls anywhere into every period.
    fn linger(&self) {
        let mut random = [0];
        // Without randomness the trials' own lengths scatter enough.
        let _ = getrandom::fill(&mut random);
        sleep(Duration::from_millis(u64::from(random[0]) * 2));
    }

    /// `None` when not all had computed before.
    fn touch(&mut self, hand: &Hand, clocks: &[Clock], quiet: Duration, ticks: Duration) -> Result<Option<Duration>> {
        let read = || clocks.iter().map(|clock| clock.now().unwrap_or_default()).collect::<Vec<_>>();
        let earlier = read();
        sleep(BEFORE);
        let before = read();
        let all = earlier.iter().zip(&before).all(|(earlier, before)| before > earlier);
        self.number += 1;
        let input = hand.touch(self.number)?;
        let mut seen = vec![(Duration::ZERO, sum(&before))];
        let mut moved = input;
        while moved.elapsed() < quiet {
            sleep(LOOK_EVERY);
            let (at, cpu) = (Instant::now(), sum(&read()));
            if cpu > seen.last().map_or(Duration::ZERO, |last| last.1) + ticks {
                moved = at;
                seen.push((at - input, cpu));
            }
            if at - input > LONGEST {
                self.endless += 1;
                hand.lift()?;
                return Ok(Some(LONGEST));
            }
        }
        hand.lift()?;
        if !all {
            self.idle_before += 1;
            return Ok(None);
        }
        Ok(seen.last().map(|last| last.0))
    }
}

fn sum(clocks: &[Duration]) -> Duration {
    clocks.iter().sum()
}

/// Waits until so many processes compute, and returns them.
fn all_compute(look: impl Fn() -> Vec<u32>, count: usize) -> Result<Vec<u32>> {
    let begun = Instant::now();
    let mut strikes = 0;
    while begun.elapsed() < PATIENCE {
        let found = look();
        let read = || found.iter().map(|pid| Clock::of(*pid).ok().and_then(Clock::now)).collect::<Option<Vec<_>>>();
        let before = read();
        sleep(Duration::from_millis(50));
        let after = read();
        // Half of the time at least, which nothing but computing takes.
        let computes = |(before, after): (&Duration, &Duration)| *after >= *before + Duration::from_millis(25);
        let all = before.iter().flatten().zip(after.iter().flatten()).all(computes);
        strikes = if found.len() == count && before.is_some() && after.is_some() && all { strikes + 1 } else { 0 };
        if strikes == 3 {
            return Ok(found);
        }
    }
    bail!("{count} workers did not compute within {PATIENCE:?}")
}
