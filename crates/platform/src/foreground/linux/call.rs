//! A call by the sound cards: sound is recorded while sound is played, as ALSA's own status files tell. What the sound
//! server does it tells itself, where there is one; then this is about programs that pass it by.
//!
//! Bluetooth headsets are not ALSA's and are not seen here. Sound that is only played is no call.

use std::fs;
use std::path::{Path, PathBuf};

use crate::kernel;

const CARDS: &str = "/proc/asound";
/// Sound servers hold the device for somebody whom ALSA does not know.
const SERVERS: &[&str] = &["pipewire", "pipewire-pulse", "wireplumber", "pulseaudio"];

/// The program that records while something plays; empty where a sound server stands between. `served`: the server
/// tells for whom it records, so that its own stream says nothing more.
pub(super) fn running(served: bool) -> Option<String> {
    let cards = kernel::numbered(Path::new(CARDS), "card");
    let mut recorders = streams(&cards, 'c').filter_map(|status| owner(&status)).map(Owner::of);
    let recorder = recorders.find(|recorder| !(served && *recorder == Owner::Server))?;
    let plays = streams(&cards, 'p').any(|status| owner(&status).is_some());
    plays.then(|| match recorder {
        Owner::Program(name) => name,
        Owner::Server | Owner::Unknown => String::new(),
    })
}

/// Whose stream it is.
#[derive(Debug, PartialEq, Eq)]
enum Owner {
    Program(String),
    Server,
    Unknown,
}

impl Owner {
    fn of(pid: Option<u32>) -> Self {
        match pid.and_then(|pid| kernel::text(Path::new(&format!("/proc/{pid}/comm")))) {
            None => Self::Unknown,
            Some(name) if SERVERS.contains(&name.as_str()) => Self::Server,
            Some(name) => Self::Program(name),
        }
    }
}

/// The status of each stream in one direction, `c`apture or `p`layback.
fn streams(cards: &[PathBuf], direction: char) -> impl Iterator<Item = String> {
    let devices = cards.iter().filter_map(|card| fs::read_dir(card).ok()).flat_map(Iterator::flatten);
    let devices = devices.filter(move |device| {
        let name = device.file_name();
        name.to_str().is_some_and(|name| name.starts_with("pcm") && name.ends_with(direction))
    });
    let streams = devices.flat_map(|device| kernel::numbered(&device.path(), "sub"));
    streams.filter_map(|stream| fs::read_to_string(stream.join("status")).ok())
}

/// Whose running stream it is, as far as the kernel says; `None` for one that does not run.
fn owner(status: &str) -> Option<Option<u32>> {
    let value = |key: &str| {
        status
            .lines()
            .find_map(|line| line.split_once(':').filter(|(name, _)| name.trim() == key))
            .map(|(_, it)| it.trim())
    };
    (value("state")? == "RUNNING").then(|| value("owner_pid").and_then(|pid| pid.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_running_stream_counts() {
        let status = "state: RUNNING\nowner_pid   : 1234\ntrigger_time: 1.2\ntstamp      : 0.0\n";
        assert_eq!(owner(status), Some(Some(1234)));
        assert_eq!(owner("state: RUNNING\nowner_pid   : x\n"), Some(None));
        for text in ["closed\n", "", "state: PREPARED\nowner_pid   : 1\n", "state: XRUN\n", "state"] {
            assert_eq!(owner(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_owner_of_a_stream_is_named_where_the_kernel_says() {
        assert!(matches!(Owner::of(Some(std::process::id())), Owner::Program(_)));
        assert_eq!([Owner::of(Some(u32::MAX)), Owner::of(None)], [Owner::Unknown, Owner::Unknown]);
    }
}
