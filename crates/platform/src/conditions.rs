//! What this computer is like at one moment, as the gate needs it: one whole value, each reading with where it came from and when.
//!
//! Deliberately absent: limits and decisions. What can't be read is said to be unknown; what unknown means is the
//! gate's to say.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::load::Load;

/// A value, where it came from, and when it was read or confirmed.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading<T> {
    pub value: T,
    /// The source in one word: `x11`, `sysfs`, `logind`, `none`.
    pub source: &'static str,
    pub at: Instant,
}

impl<T> Reading<T> {
    pub const fn new(value: T, source: &'static str, at: Instant) -> Self {
        Self { value, source, at }
    }

    /// How old the reading is at `now`.
    #[must_use]
    pub fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.at)
    }
}

/// Everything that the gate and the governor look at.
#[derive(Debug, Clone, PartialEq)]
pub struct Conditions {
    pub presence: Reading<Presence>,
    pub power: Reading<Power>,
    pub thermal: Reading<Thermal>,
    pub load: Reading<Load>,
    pub foreground: Reading<Foreground>,
    pub network: Reading<Network>,
    /// The last thing after which no older reading counts: a wake from sleep, a jump of the clock.
    pub disturbed: Option<(Disturbance, Instant)>,
}

/// Whether somebody uses this computer by its keys and pointers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// Input came less than the threshold ago.
    Active,
    /// No input since this instant, which is at least the threshold ago.
    IdleSince(Instant),
    /// The owner declared that nobody sits at this machine.
    Headless,
    /// The session this engine belongs to is not the one in front.
    OtherUser,
    /// No trustworthy source; why, in words.
    Unknown(String),
}

/// Where the power comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// The mains, or a machine that has no battery.
    Mains,
    /// A battery. `percent` is `None` where it does not tell.
    Battery { percent: Option<u8> },
    /// Can't be read; counts as a battery.
    Unknown,
}

/// How warm the processor is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thermal {
    /// Hottest plausible sensor of the processor, °C; `None` without one.
    pub celsius: Option<f32>,
    /// At which the hardware protects itself, °C, where it tells.
    pub critical: Option<f32>,
    /// Frequency as a part of the highest, 0 to 1, where it tells.
    pub frequency: Option<f32>,
}

/// Who uses the computer without touching it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Foreground {
    /// Every sign of it, in no order.
    pub uses: Vec<Use>,
    /// Programs of the owner's list that run now, by their name.
    pub excluded: BTreeSet<String>,
    /// The session's screen is locked.
    pub locked: bool,
    /// The lid is shut.
    pub lid_shut: bool,
}

/// A sign that somebody watches, plays or talks. Each names the program as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Use {
    /// A window fills a screen.
    FullScreen(String),
    /// A program keeps the screen awake: a film, a presentation, a call.
    Inhibited(String),
    /// A program uses the microphone: a call, or a recording.
    Call(String),
    /// A game controller was moved.
    Gamepad(String),
}

/// What transfers cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    Free,
    Metered,
    Unknown,
}

/// After which older readings are worth nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disturbance {
    Woke,
    ClockJumped,
}
