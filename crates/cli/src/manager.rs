//! The service manager, where one started this and wants to hear of it: systemd's `Type=notify`.
//!
//! Deliberately absent: a watchdog. The engine's parts watch each other, and a machine that is suspended or busy is no
//! reason to kill it.

use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

#[derive(Debug)]
pub(crate) struct Manager(Option<(UnixDatagram, SocketAddr)>);

impl Manager {
    /// By `NOTIFY_SOCKET`; without it nobody listens.
    pub(crate) fn find() -> Self {
        Self(std::env::var_os("NOTIFY_SOCKET").and_then(|name| {
            let address = address(&name)?;
            Some((UnixDatagram::unbound().ok()?, address))
        }))
    }

    /// Tells it, as in `READY=1`.
    pub(crate) fn tell(&self, state: &str) {
        let Some((socket, address)) = &self.0 else { return };
        if let Err(error) = socket.send_to_addr(state.as_bytes(), address) {
            tracing::debug!(%error, "The service manager does not listen");
        }
    }
}

fn address(name: &OsStr) -> Option<SocketAddr> {
    match name.as_bytes() {
        [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest).ok(),
        _ => SocketAddr::from_pathname(name).ok(),
    }
}
