//! Linux: logind's lock on idleness, as `systemd-inhibit --what=idle` takes it. Not its lock on sleep: that would refuse
//! what the owner asks for. logind's own timer and KDE's obey it.

use std::io;
use std::time::Duration;

use zbus::zvariant::OwnedFd;

use crate::bus;
use crate::foreground::linux::lock::{LOGIND, LOGIND_PATH};

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
    let builder = zbus::connection::Builder::system().map_err(io::Error::other)?;
    let bus = builder.method_timeout(ANSWER).build().await.map_err(io::Error::other)?;
    let ask = [LOGIND, LOGIND_PATH, "org.freedesktop.login1.Manager", "Inhibit"];
    let lock = bus::call(&bus, ask, &("idle", who, why, "block")).await.map_err(io::Error::other)?;
    lock.ok_or_else(|| io::Error::other("logind refuses, or is not there"))
}
