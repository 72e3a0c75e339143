//! How warm the processor is, by sensors that can be believed.
//!
//! Deliberately absent: limits. A sensor that can't be right, or that never moves while the load does, is no sensor.

use std::collections::HashMap;
use std::time::Instant;

use crate::conditions::{Reading, Thermal};

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as os;
#[cfg(not(target_os = "linux"))]
mod portable;
#[cfg(not(target_os = "linux"))]
use portable as os;

/// Reads the processor's temperature and frequency.
#[derive(Debug)]
pub(crate) struct Thermometer {
    sensors: os::Sensors,
    /// What each sensor did so far, by its name.
    pasts: HashMap<String, Past>,
}

/// What one sensor says now.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Sample<'a> {
    name: &'a str,
    celsius: f32,
    critical: Option<f32>,
}

impl Thermometer {
    #[must_use]
    pub(crate) fn new() -> Self {
        Self { sensors: os::Sensors::find(), pasts: HashMap::new() }
    }

    /// The temperature now. `busy_percent` is the load of the whole machine since the reading before, ours included:
    /// it tells a sensor that works from one that is stuck.
    pub(crate) fn read(&mut self, busy_percent: f32) -> Reading<Thermal> {
        let Self { sensors, pasts } = self;
        let (mut celsius, mut critical) = (None::<f32>, None::<f32>);
        sensors.samples(&mut |sample| {
            if !plausible(sample.celsius) {
                return;
            }
            if !pasts.contains_key(sample.name) {
                pasts.insert(sample.name.to_owned(), Past::new(sample.celsius));
            }
            let stuck = pasts.get_mut(sample.name).is_some_and(|past| past.note(sample.celsius, busy_percent));
            if stuck {
                return;
            }
            celsius = Some(celsius.map_or(sample.celsius, |other| other.max(sample.celsius)));
            if let Some(own) = sample.critical.filter(|own| believable_critical(*own)) {
                critical = Some(critical.map_or(own, |other| other.min(own)));
            }
        });
        let frequency = sensors.frequency();
        let source = if celsius.is_none() && frequency.is_none() { "none" } else { os::SOURCE };
        Reading::new(Thermal { celsius, critical, frequency }, source, Instant::now())
    }
}

impl Default for Thermometer {
    fn default() -> Self {
        Self::new()
    }
}

/// Sensors that are not connected say 0, -128 or 127.
fn plausible(celsius: f32) -> bool {
    celsius > 0.0 && celsius < 115.0
}

/// Where the driver has no real limit it says 0, or one that no silicon reaches.
fn believable_critical(celsius: f32) -> bool {
    (60.0..=125.0).contains(&celsius)
}

/// How often a sensor must have said the same, at rest and at work each, before it counts as stuck. One degree of
/// resolution and a cooler that keeps up can hide a short load.
const SAME: u32 = 6;
const REST: f32 = 20.0;
const WORK: f32 = 60.0;

/// What one sensor said while the machine rested and while it worked.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Past {
    first: f32,
    moved: bool,
    at_rest: u32,
    at_work: u32,
}

impl Past {
    const fn new(first: f32) -> Self {
        Self { first, moved: false, at_rest: 0, at_work: 0 }
    }

    /// Notes a reading; whether the sensor is stuck. One that has ever moved is not.
    fn note(&mut self, celsius: f32, busy_percent: f32) -> bool {
        self.moved |= (celsius - self.first).abs() > f32::EPSILON;
        self.at_rest = self.at_rest.saturating_add(u32::from(busy_percent <= REST));
        self.at_work = self.at_work.saturating_add(u32::from(busy_percent >= WORK));
        !self.moved && self.at_rest >= SAME && self.at_work >= SAME
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(past: &mut Past, readings: &[(f32, f32)]) -> bool {
        readings.iter().fold(false, |_, (celsius, busy)| past.note(*celsius, *busy))
    }

    #[test]
    fn a_sensor_that_ignores_the_load_is_stuck() {
        let mut past = Past::new(27.8);
        assert!(!feed(&mut past, &[(27.8, 0.0); 1000]), "nothing happened that it could show");
        assert!(!feed(&mut past, &[(27.8, 90.0); 5]));
        assert!(past.note(27.8, 90.0));
        assert!(!past.note(28.8, 90.0), "it moves after all");
        assert!(!feed(&mut past, &[(28.8, 0.0); 10]));
    }

    #[test]
    fn a_sensor_that_moved_once_is_believed() {
        let mut past = Past::new(50.0);
        assert!(!feed(&mut past, &[(51.0, 0.0)]));
        assert!(!feed(&mut past, &[(50.0, 0.0); 20]));
        assert!(!feed(&mut past, &[(50.0, 100.0); 20]));
    }

    #[test]
    fn temperatures_that_cannot_be_are_refused() {
        for wrong in [-128.0, -1.0, 0.0, 115.0, 127.0, 65_261.8, f32::NAN, f32::INFINITY] {
            assert!(!plausible(wrong), "{wrong}");
        }
        assert!(plausible(0.5) && plausible(114.9));
        assert!(!believable_critical(0.0) && believable_critical(100.0) && !believable_critical(65_261.8));
    }
}
