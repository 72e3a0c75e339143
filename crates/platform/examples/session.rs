//! Prints what the reporter of this session says, a line for each report.

use std::io::Write;
use std::sync::mpsc;

use surge_platform::presence::SessionInput;
use surge_platform::sensors::SessionWatch;

fn main() -> std::io::Result<()> {
    let (sender, reports) = mpsc::channel();
    let _watch = SessionWatch::start(move |report| {
        // The receiver lives as long as this program.
        let _ = sender.send(report);
    })?;
    let mut out = std::io::stdout();
    for report in reports {
        match &report.input {
            SessionInput::Active => write!(out, "active")?,
            SessionInput::IdleFor(idle) => write!(out, "idle for {} s", idle.as_secs())?,
            SessionInput::Unknown(why) => write!(out, "unknown: {why}")?,
        }
        writeln!(out, " locked={} uses={:?}", report.locked, report.uses)?;
        out.flush()?;
    }
    Ok(())
}
