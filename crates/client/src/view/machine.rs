//! What the sensors tell: presence, temperature, load, power.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// What is known of the owner's presence.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(default)]
pub struct PresenceView {
    /// `x11`, `headless`, `none`.
    pub source: String,
    /// Seconds since the last input; `null` where no source tells.
    #[ts(type = "number | null")]
    pub idle_seconds: Option<u64>,
    /// Seconds without input after which work may start.
    #[ts(type = "number")]
    pub idle_after_seconds: u64,
}

/// What the sensors tell of this computer, beside the limits that hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, TS)]
#[serde(default)]
pub struct MachineView {
    /// The processor's temperature, °C; `null` where no sensor tells.
    pub celsius: Option<f32>,
    /// At which the load is kept, and from which on nothing runs, °C.
    pub target_celsius: f32,
    pub stop_celsius: f32,
    /// CPU of other programs, percent of the whole machine; `null` before the first reading.
    pub other_load_percent: Option<f32>,
    /// Above which nothing runs; `null` is never.
    pub other_load_limit_percent: Option<f32>,
    /// `mains`, `battery`, `unknown`.
    pub power: String,
    pub battery_percent: Option<u8>,
    /// Where each reading comes from.
    pub sensors: Vec<SensorView>,
}

/// A reading's source: `thermal` from `hwmon`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct SensorView {
    pub reading: String,
    pub source: String,
}
