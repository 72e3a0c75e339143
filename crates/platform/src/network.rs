//! What transfers cost on the network that this machine is on.

use std::time::Instant;

use crate::conditions::{Network, Reading};

#[cfg(target_os = "linux")]
pub(crate) mod linux;
#[cfg(target_os = "linux")]
use linux as os;
#[cfg(not(target_os = "linux"))]
mod portable;
#[cfg(not(target_os = "linux"))]
use portable as os;

/// The cost, by what the system's network service said where there is one, else by the way out.
#[must_use]
pub(crate) fn read(told: Option<Network>) -> Reading<Network> {
    let now = Instant::now();
    match told {
        Some(network) => Reading::new(network, os::SERVICE, now),
        None => Reading::new(os::by_route(), os::SOURCE, now),
    }
}
