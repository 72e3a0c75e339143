//! From the temperature to a pull on the level. No derivative: sensors step by whole degrees and lag by seconds.

use std::time::Instant;

use super::Pull;

/// Below the target by so much the level stays, °C.
pub(super) const BAND: f32 = 3.0;
/// From so far below that band on the level may rise at its full rate, less and less nearer to it.
const APPROACH: f32 = 12.0;
/// Part of the level that is cut a second above the target, and what each further degree adds.
const CUT: f32 = 0.1;
const CUT_A_DEGREE: f32 = 0.05;
const MOST_CUT: f32 = 0.5;
/// Of the smoothing, seconds.
const SMOOTHING: f32 = 5.0;

/// The temperature, and its recent mean.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Smooth(Option<(f32, Instant)>);

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Heat {
    now: f32,
    /// The higher of now and the recent mean: fast up, slow down.
    felt: f32,
}

impl Smooth {
    pub(super) fn follow(&mut self, celsius: Option<f32>, now: Instant) -> Option<Heat> {
        let Some(celsius) = celsius else {
            self.0 = None;
            return None;
        };
        let mean = match self.0 {
            None => celsius,
            Some((mean, at)) => {
                let passed = now.saturating_duration_since(at).as_secs_f32();
                mean + (celsius - mean) * (passed / (SMOOTHING + passed))
            }
        };
        self.0 = Some((mean, now));
        Some(Heat { now: celsius, felt: celsius.max(mean) })
    }
}

impl Heat {
    /// Above the target it cuts at once, by the reading; below the band it lets rise, by the mean.
    pub(super) fn pull(self, target: f32) -> Pull {
        let over = self.now - target;
        if over > 0.0 {
            return Pull { cut: (CUT + CUT_A_DEGREE * over).min(MOST_CUT), rise: 0.0 };
        }
        let below = target - BAND - self.felt;
        Pull { cut: 0.0, rise: (below / APPROACH).clamp(0.0, 1.0) }
    }
}
