//! Prints what this session's presence source says, a line for each change: `presence [SECONDS]`.

use std::io::Write;
use std::sync::mpsc;
use std::time::Duration;

use surge_platform::presence::{Presence, Source, Watcher};

fn main() -> std::io::Result<()> {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(180);
    let (sender, changes) = mpsc::channel();
    let _watcher = Watcher::start(Source::Auto, Duration::from_secs(seconds), move |presence| {
        // The receiver lives as long as this program.
        let _ = sender.send(presence);
    })?;
    let mut out = std::io::stdout();
    for change in changes {
        match change {
            Presence::Active => writeln!(out, "active")?,
            Presence::IdleSince(_) => writeln!(out, "idle")?,
            Presence::Headless => writeln!(out, "headless")?,
            Presence::OtherUser => writeln!(out, "other user")?,
            Presence::Unknown(why) => writeln!(out, "unknown: {why}")?,
        }
        out.flush()?;
    }
    Ok(())
}
