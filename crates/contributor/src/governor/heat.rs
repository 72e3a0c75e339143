//! From the temperature to a pull on the level.
//!
//! Sensors step by whole degrees and lag by seconds, so that the difference of two readings is worth nothing. The
//! difference of a quick and a slow mean is how fast it gets warmer, and that is followed ahead: the numbers here are
//! those of a sweep over cooling from laptop to tower (`tests/simulation/heat.rs`), in which nothing gets more than
//! about a degree above the target.

use std::time::Instant;

use super::Pull;

/// Below the target by so much the level stays, °C.
pub(super) const BAND: f32 = 2.0;
/// From so far below that band on the level may rise at its full rate, less and less nearer to it.
const APPROACH: f32 = 20.0;
/// Part of the level that is cut a second above the target, and what each further degree adds.
const CUT: f32 = 0.03;
const CUT_A_DEGREE: f32 = 0.04;
const MOST_CUT: f32 = 0.5;
/// How far ahead it looks before it lets rise, and before it cuts, seconds.
const AHEAD_RISING: f32 = 30.0;
const AHEAD_CUTTING: f32 = 10.0;
/// Of the two means, seconds.
const QUICK: f32 = 5.0;
const SLOW: f32 = 20.0;

/// The recent means of the temperature; empty without a sensor.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Smooth(Option<Means>);

#[derive(Debug, Clone, Copy, PartialEq)]
struct Means {
    quick: f32,
    slow: f32,
    at: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Heat {
    now: f32,
    /// The higher of now and the quick mean.
    felt: f32,
    /// How fast it gets warmer, °C a second; 0 when it does not.
    slope: f32,
}

impl Smooth {
    pub(super) fn follow(&mut self, celsius: Option<f32>, now: Instant) -> Option<Heat> {
        let Some(celsius) = celsius else {
            self.0 = None;
            return None;
        };
        let before = self.0.unwrap_or(Means { quick: celsius, slow: celsius, at: now });
        let passed = now.saturating_duration_since(before.at).as_secs_f32();
        let follow = |mean: f32, seconds: f32| mean + (celsius - mean) * (passed / (seconds + passed));
        let means = Means { quick: follow(before.quick, QUICK), slow: follow(before.slow, SLOW), at: now };
        self.0 = Some(means);
        // Under a steady rise each mean lags by its own time: so much rise lies between them.
        let slope = ((means.quick - means.slow) / (SLOW - QUICK)).max(0.0);
        Some(Heat { now: celsius, felt: celsius.max(means.quick), slope })
    }
}

impl Heat {
    /// Fast down by the reading, slow up by the mean, and both by where it will soon be.
    pub(super) fn pull(self, target: f32) -> Pull {
        let over = self.now + self.slope * AHEAD_CUTTING - target;
        if over > 0.0 {
            return Pull { cut: (CUT + CUT_A_DEGREE * over).min(MOST_CUT), rise: 0.0 };
        }
        let below = target - BAND - self.felt - self.slope * AHEAD_RISING;
        Pull { cut: 0.0, rise: (below / APPROACH).clamp(0.0, 1.0) }
    }
}
