//! A message bus of our own, at a fixed address, so that it can die and come back.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::program::Program;

const CONFIG: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <auth>EXTERNAL</auth>
  <listen>ADDRESS</listen>
  <policy context="default">
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
    <allow own="*"/>
  </policy>
</busconfig>
"#;

pub(crate) struct Bus {
    pub(crate) address: String,
    pub(crate) daemon: Program,
}

impl Bus {
    pub(crate) fn start(folder: &Path) -> Self {
        let address = format!("unix:path={}", folder.join("bus").display());
        let config = folder.join("bus.conf");
        std::fs::write(&config, CONFIG.replace("ADDRESS", &address)).unwrap();
        let mut daemon = Command::new("dbus-daemon")
            .args(["--nofork", "--nopidfile", "--print-address=1"])
            .arg(format!("--config-file={}", config.display()))
            .stdout(Stdio::piped())
            .spawn()
            .expect("dbus-daemon starts (Debian package dbus; `cargo xtask setup` installs it)");
        let mut said = String::new();
        BufReader::new(daemon.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert!(said.starts_with(&address), "{said:?}");
        Self { address, daemon: Program(daemon) }
    }

    /// What connects a service to it.
    pub(crate) fn connection(&self) -> zbus::connection::Builder<'static> {
        let address: zbus::Address = self.address.parse().unwrap();
        zbus::connection::Builder::address(address).unwrap().method_timeout(crate::PATIENCE)
    }
}

/// What services of a test run on.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}
