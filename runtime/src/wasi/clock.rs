//! The virtual clock: it starts at the same instant for every task and moves only when the program reads it or sleeps.
//!
//! A program that sees no real time computes the same everywhere, and has no timer to measure its neighbours with.

use super::abi::Errno;
use super::{Answer, Wasi};
use crate::guest::Guest;

/// 2026-01-01T00:00:00Z, in seconds since 1970.
pub(crate) const CLOCK_START_S: u64 = 1_767_225_600;
/// How far one look moves the clock.
pub(crate) const CLOCK_STEP_NS: u64 = 1_000;

const REALTIME: u32 = 0;
const PROCESS_CPU: u32 = 2;
const THREAD_CPU: u32 = 3;
const MONOTONIC: u32 = 1;

/// Virtual time.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Clock {
    /// Nanoseconds since the start of the program.
    elapsed: u64,
}

impl Clock {
    /// Nanoseconds since 1970, for the times of files. Looking this way moves nothing.
    pub(crate) const fn now(self) -> u64 {
        CLOCK_START_S * 1_000_000_000 + self.elapsed
    }

    /// What `clock` shows without moving it.
    pub(crate) fn show(self, clock: u32) -> Result<u64, Errno> {
        match clock {
            REALTIME => Ok(self.now()),
            MONOTONIC | PROCESS_CPU | THREAD_CPU => Ok(self.elapsed),
            _ => Err(Errno::Invalid),
        }
    }

    /// A sleep. A program may sleep for centuries; the clock stops at its end.
    pub(crate) fn advance(&mut self, nanoseconds: u64) {
        let end = u64::MAX - CLOCK_START_S * 1_000_000_000;
        self.elapsed = self.elapsed.saturating_add(nanoseconds).min(end);
    }
}

impl Wasi {
    pub(super) fn clock_res_get(&mut self, guest: &mut Guest<'_>, clock: u32, out: u32) -> Answer {
        self.clock.show(clock)?;
        Ok(guest.write_u64(out, CLOCK_STEP_NS)?)
    }

    pub(super) fn clock_time_get(&mut self, guest: &mut Guest<'_>, clock: u32, _precision: u64, out: u32) -> Answer {
        self.clock.show(clock)?;
        guest.check(out, 8)?;
        self.clock.advance(CLOCK_STEP_NS);
        let time = self.clock.show(clock)?;
        Ok(guest.write_u64(out, time)?)
    }
}
