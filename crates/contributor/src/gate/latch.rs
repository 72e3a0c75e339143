//! Hysteresis in time: a no counts after it has lasted a while, and a yes only after a while without a no.

use std::time::{Duration, Instant};

/// How long a rule's answer must last before it counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Delays {
    /// Of a no.
    pub(super) stop: Duration,
    /// Of a yes.
    pub(super) start: Duration,
}

/// One rule's memory.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Latch {
    /// Since when it says no without a break.
    since: Option<Instant>,
    /// When it last said no.
    last: Option<Instant>,
    held: bool,
}

/// A rule's no as it counts now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    /// The condition is there now.
    Now,
    /// It was there so long ago; work may start at `until` if it stays away.
    Lately { ago: Duration, until: Instant },
}

impl Latch {
    pub(super) fn held(&self) -> bool {
        self.held
    }

    pub(super) fn step(&mut self, no: bool, delays: Delays, now: Instant) -> Option<Held> {
        if no {
            let since = *self.since.get_or_insert(now);
            self.last = Some(now);
            self.held |= now.saturating_duration_since(since) >= delays.stop;
            return self.held.then_some(Held::Now);
        }
        self.since = None;
        let last = self.last.filter(|_| self.held)?;
        let ago = now.saturating_duration_since(last);
        self.held = ago < delays.start;
        self.held.then_some(Held::Lately { ago, until: last + delays.start })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DELAYS: Delays = Delays { stop: Duration::from_secs(5), start: Duration::from_secs(20) };

    proptest! {
        #[test]
        fn it_never_flaps_faster_than_its_delays(steps in prop::collection::vec((0u64..4, any::<bool>()), 1..300)) {
            let (mut latch, begun) = (Latch::default(), Instant::now());
            let (mut seconds, mut held, mut began_no, mut last_no) = (0, false, None, None);
            for (wait, no) in steps {
                seconds += wait;
                let now = begun + Duration::from_secs(seconds);
                let holds = latch.step(no, DELAYS, now).is_some();
                if no {
                    began_no.get_or_insert(seconds);
                }
                if holds && !held {
                    prop_assert!(no && seconds - began_no.unwrap() >= 5, "it stopped after too short a no");
                }
                if !holds && held {
                    prop_assert!(seconds - last_no.unwrap() >= 20, "it started after too short a yes");
                }
                if no { last_no = Some(seconds) } else { began_no = None }
                held = holds;
            }
        }
    }
}
