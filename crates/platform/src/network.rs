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

/// What the system's network service said.
#[must_use]
pub(crate) fn told(network: Network) -> Reading<Network> {
    Reading::new(network, os::SERVICE, Instant::now())
}

/// The cost by the way out, where no service tells.
#[must_use]
pub(crate) fn by_route() -> Reading<Network> {
    Reading::new(os::by_route(), os::SOURCE, Instant::now())
}
