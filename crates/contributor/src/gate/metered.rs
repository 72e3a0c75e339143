//! A network that costs money by the byte: what is here is computed and delivered, nothing new is fetched.
//!
//! Finished results still go out: they are small, paid for, and have a deadline. An unknown network counts as free,
//! since most systems that can't tell are wired.

use std::time::Duration;

use surge_platform::conditions::Network;

use super::Situation;
use super::latch::{Delays, Latch};
use crate::view::{Reason, ReasonCode};

/// At once, and not again before ten seconds: networks change over one that is not.
const DELAYS: Delays = Delays { stop: Duration::ZERO, start: Duration::from_secs(10) };

pub(super) fn rule(look: &Situation<'_>, memory: &mut Latch) -> Option<Reason> {
    let metered = look.conditions.network.value == Network::Metered && !look.limits.use_metered;
    memory.step(metered, DELAYS, look.now.at)?;
    Some(Reason::new(ReasonCode::MeteredNetwork).set_by("use_metered_network"))
}
