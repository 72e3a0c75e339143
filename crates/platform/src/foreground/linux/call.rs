//! A call: sound is recorded while sound is played. ALSA's own status files tell, whatever sound server sits above.
//!
//! Bluetooth headsets are not ALSA's and are not seen. Sound that is only played is no call.

use std::fs;
use std::path::{Path, PathBuf};

use crate::kernel;

const CARDS: &str = "/proc/asound";
/// Sound servers hold the device for somebody whom ALSA does not know.
const SERVERS: &[&str] = &["pipewire", "pipewire-pulse", "wireplumber", "pulseaudio"];

/// The program that records while something plays; empty where a sound server stands between.
pub(super) fn running() -> Option<String> {
    let cards = kernel::numbered(Path::new(CARDS), "card");
    let recorder = streams(&cards, 'c').find_map(|status| owner(&status))?;
    let plays = streams(&cards, 'p').any(|status| owner(&status).is_some());
    plays.then(|| recorder.and_then(program).unwrap_or_default())
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

/// The name of a process that is no sound server.
fn program(pid: u32) -> Option<String> {
    let name = kernel::text(Path::new(&format!("/proc/{pid}/comm")))?;
    (!SERVERS.contains(&name.as_str())).then_some(name)
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
    fn a_sound_server_is_not_who_talks() {
        assert!(program(std::process::id()).is_some());
        assert_eq!(program(u32::MAX), None);
    }
}
