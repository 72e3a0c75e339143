//! Without a temperature, the frequency has to do: a processor that gets slower under the same load is too warm.

use std::time::{Duration, Instant};

use super::Pull;

/// Below this part of the best frequency seen it has become slower.
const SLOWER: f32 = 0.85;
/// So long it must be slower before that counts: frequencies jump.
const SLOW_FOR: Duration = Duration::from_secs(3);
/// After a cut the best is learned anew, since less load may mean less frequency, and nothing rises meanwhile.
const REST: Duration = Duration::from_secs(60);
/// The level is halved: a part of it in each of two seconds.
const CUT: f32 = 0.3;
const CUT_FOR: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Blind {
    best: f32,
    slow_since: Option<Instant>,
    cut_at: Option<Instant>,
}

impl Blind {
    /// `frequency` is a part of the highest, where the system tells it.
    pub(super) fn pull(&mut self, frequency: Option<f32>, now: Instant) -> Pull {
        let since = |then: Instant| now.saturating_duration_since(then);
        if let Some(cut_at) = self.cut_at {
            match since(cut_at) {
                passed if passed < CUT_FOR => return Pull { cut: CUT, rise: 0.0 },
                passed if passed < REST => return Pull { cut: 0.0, rise: 0.0 },
                _ => *self = Self::default(),
            }
        }
        let Some(frequency) = frequency else { return Pull { cut: 0.0, rise: 1.0 } };
        self.best = self.best.max(frequency);
        if frequency >= self.best * SLOWER {
            self.slow_since = None;
            return Pull { cut: 0.0, rise: 1.0 };
        }
        if since(*self.slow_since.get_or_insert(now)) < SLOW_FOR {
            return Pull { cut: 0.0, rise: 0.0 };
        }
        self.cut_at = Some(now);
        Pull { cut: CUT, rise: 0.0 }
    }
}
