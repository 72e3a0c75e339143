//! Who uses this computer without touching it: a film, a game, a call; and what the owner wants nothing to run beside.
//!
//! Deliberately absent: what it means. A sign that can't be seen is not there, and what was seen stays until it is
//! known to have ended.

#[cfg(target_os = "linux")]
pub(crate) mod linux;
#[cfg(target_os = "linux")]
use linux as os;
#[cfg(not(target_os = "linux"))]
mod portable;
#[cfg(not(target_os = "linux"))]
use portable as os;

pub(crate) use os::{FileReader, Question, Seen, WINDOWS, Watch, kinds};

/// What the system's services said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ServiceFacts {
    /// Who keeps the screen awake.
    pub(crate) inhibitors: Vec<String>,
    pub(crate) locked: bool,
    pub(crate) lid_shut: Option<bool>,
    /// A service that was there says nothing now: what it said last is kept, and counts as old.
    pub(crate) stale: bool,
}
