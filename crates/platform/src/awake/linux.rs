//! Linux: logind's lock on idleness, as `systemd-inhibit --what=idle` takes it. Not its lock on sleep: that would refuse
//! what the owner asks for. logind's own timer and KDE's obey it.

use std::io;
use std::time::Duration;

use zbus::zvariant::OwnedFd;

use crate::surroundings::Surroundings;
use crate::{bus, logind};

/// logind answers at once, or is hung.
const ANSWER: Duration = Duration::from_secs(5);

/// Open as long as the lock is held.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "it is held, and closed by the system at the latest")] OwnedFd);

impl Lock {
    pub(super) fn take(who: &str, why: &str) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async { tokio::time::timeout(ANSWER, inhibit(who, why)).await })?.map(Self)
    }
}

async fn inhibit(who: &str, why: &str) -> io::Result<OwnedFd> {
    let bus = bus::connect(&Surroundings::here().system_bus, ANSWER).await.map_err(io::Error::other)?;
    let lock = logind::lock_idleness(&bus, who, why).await.map_err(io::Error::other)?;
    lock.ok_or_else(|| io::Error::other("logind refuses, or is not there"))
}
