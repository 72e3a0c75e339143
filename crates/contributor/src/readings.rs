//! What the sensors tell, as a shell shows it: values beside their limits, and where each comes from.
//!
//! Deliberately absent: what follows from them. That is the gate's and the governor's.

use surge_platform::conditions::{Conditions, Power, Thermal};

use crate::gate::{Limits, stop, target};
use crate::view::{MachineView, SensorView};

/// The machine as the newest conditions have it; before there are any, only the limits.
pub(crate) fn machine(conditions: Option<&Conditions>, limits: &Limits) -> MachineView {
    let unread = Thermal { celsius: None, critical: None, frequency: None };
    let thermal = conditions.map_or(&unread, |all| &all.thermal.value);
    let power = conditions.map_or(Power::Unknown, |all| all.power.value);
    MachineView {
        celsius: thermal.celsius.map(tenths),
        target_celsius: target(limits.target_celsius, thermal),
        stop_celsius: stop(limits.target_celsius, thermal),
        other_load_percent: conditions.map(|all| tenths(all.load.value.cpu_percent)),
        other_load_limit_percent: limits.other_load.map(|limit| limit.stop_above),
        power: power_name(power).to_owned(),
        battery_percent: match power {
            Power::Battery { percent } => percent,
            Power::Mains | Power::Unknown => None,
        },
        sensors: conditions.map(sensors).unwrap_or_default(),
    }
}

fn sensors(all: &Conditions) -> Vec<SensorView> {
    let sources = [
        ("presence", all.presence.source),
        ("power", all.power.source),
        ("thermal", all.thermal.source),
        ("load", all.load.source),
        ("foreground", all.foreground.source),
        ("network", all.network.source),
    ];
    let view = |(reading, source): (&str, &str)| SensorView { reading: reading.into(), source: source.into() };
    sources.into_iter().map(view).collect()
}

fn power_name(power: Power) -> &'static str {
    match power {
        Power::Mains => "mains",
        Power::Battery { .. } => "battery",
        Power::Unknown => "unknown",
    }
}

/// A sensor's noise is no news.
fn tenths(value: f32) -> f32 {
    (value * 10.0).round() / 10.0
}
