//! Where no clock tells of sleep: the time of day against the time that ran. Not yet run on such a system.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use super::Clocks;

pub(super) fn now() -> Clocks {
    static START: OnceLock<Instant> = OnceLock::new();
    let running = START.get_or_init(Instant::now).elapsed();
    let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Clocks { running, boot: running, wall }
}
