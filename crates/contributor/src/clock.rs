//! The wall clock, read in one place.

use std::time::{SystemTime, UNIX_EPOCH};

/// Unix seconds now; 0 on a clock set before 1970.
#[must_use]
pub fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
