//! `poll_oneoff`: everything is always ready, and waiting is done by moving the clock.

use super::abi::Errno;
use super::{Answer, Wasi};
use crate::guest::Guest;

const SUBSCRIPTION: u32 = 48;
const EVENT: u32 = 32;
const ABSOLUTE: u16 = 1;

/// What a subscription waits for.
#[derive(Debug, Clone, Copy)]
enum Awaited {
    /// Until the clock has advanced by so many nanoseconds; `0` when that moment has passed.
    Clock(u64),
    /// A descriptor: ready at once, with so many bytes, or in error.
    Fd(Result<u64, Errno>),
    /// A clock that does not exist.
    Nothing(Errno),
    /// A kind of subscription that does not exist.
    Unknown,
}

/// One subscription as it is in memory.
#[derive(Debug, Clone, Copy)]
struct Subscription {
    user: [u8; 8],
    tag: u8,
    awaited: Awaited,
}

impl Wasi {
    /// Two passes over the subscriptions, without a copy of them: how many there are is the program's choice.
    pub(super) fn poll_oneoff(
        &mut self,
        guest: &mut Guest<'_>,
        list: u32,
        events: u32,
        count: u32,
        out: u32,
    ) -> Answer {
        if count == 0 {
            return Err(Errno::Invalid.into());
        }
        guest.check(list, count.checked_mul(SUBSCRIPTION).ok_or(Errno::Fault)?)?;
        guest.check(events, count.checked_mul(EVENT).ok_or(Errno::Fault)?)?;
        guest.check(out, 4)?;
        let mut ready = false;
        let mut shortest = u64::MAX;
        for n in 0..count {
            match self.subscription(guest, list, n)?.awaited {
                Awaited::Clock(wait) => shortest = shortest.min(wait),
                Awaited::Fd(_) | Awaited::Nothing(_) => ready = true,
                Awaited::Unknown => return Err(Errno::Invalid.into()),
            }
        }
        // Where a descriptor is ready, nobody waits, and only the clocks that have run out already are reported.
        let waited = if ready { 0 } else { shortest };
        let mut happened = 0;
        for n in 0..count {
            let subscription = self.subscription(guest, list, n)?;
            let (errno, bytes) = match subscription.awaited {
                Awaited::Clock(wait) if wait > waited => continue,
                Awaited::Clock(_) => (0, 0),
                Awaited::Fd(Ok(bytes)) => (0, bytes),
                Awaited::Fd(Err(errno)) | Awaited::Nothing(errno) => (errno as u16, 0),
                // It was none of these before this call wrote its events over it.
                Awaited::Unknown => (Errno::Invalid as u16, 0),
            };
            let mut event = [0; EVENT as usize];
            event[..8].copy_from_slice(&subscription.user);
            event[8..10].copy_from_slice(&errno.to_le_bytes());
            event[10] = subscription.tag;
            event[16..24].copy_from_slice(&bytes.to_le_bytes());
            guest.write(Guest::element(events, happened, EVENT)?, &event)?;
            happened += 1;
        }
        self.clock.advance(waited);
        Ok(guest.write_u32(out, happened)?)
    }

    fn subscription(&self, guest: &mut Guest<'_>, list: u32, n: u32) -> Result<Subscription, Errno> {
        let raw: [u8; SUBSCRIPTION as usize] = guest.read(Guest::element(list, n, SUBSCRIPTION)?)?;
        let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| raw[at + i]));
        let half = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| raw[at + i]));
        let awaited = match raw[8] {
            0 => {
                let (clock, timeout) = (half(16), word(24));
                let absolute = u16::from_le_bytes([raw[40], raw[41]]) & ABSOLUTE != 0;
                match self.clock.show(clock) {
                    Ok(now) if absolute => Awaited::Clock(timeout.saturating_sub(now)),
                    Ok(_) => Awaited::Clock(timeout),
                    Err(errno) => Awaited::Nothing(errno),
                }
            }
            1 => Awaited::Fd(self.readable(half(16))),
            2 => Awaited::Fd(self.writable(half(16))),
            _ => Awaited::Unknown,
        };
        Ok(Subscription { user: std::array::from_fn(|i| raw[i]), tag: raw[8], awaited })
    }
}
