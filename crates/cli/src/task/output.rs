//! Where the result goes: standard output, or a file that is there whole or as it was before.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};

use surge_contributor::files::Destination;
use surge_protocol::Outcome;
use surge_supervisor::Finished;

use super::{host, show, usage};
use crate::failure::Failure;

/// Where the result will go. Whether it can go there is known before the task runs.
#[derive(Debug)]
pub(super) enum Output {
    Standard,
    Place { destination: Destination, path: PathBuf },
}

impl Output {
    pub(super) fn prepare(out: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = out.filter(|path| path.as_os_str() != "-") else { return Ok(Self::Standard) };
        let destination = Destination::prepare(path, 0o666).map_err(|error| {
            let message = format!("{} can't be written: {error}. Choose another place with --out", path.display());
            usage("out_unwritable", message)
        })?;
        Ok(Self::Place { destination, path: path.to_owned() })
    }

    /// Keeps the result. A program that did not end by itself has written part of one: it is shown on standard output, and
    /// does not replace a file.
    pub(super) fn keep(self, finished: &Finished) -> Result<(), Failure> {
        match self {
            Self::Standard if finished.outcome == Outcome::Host => Ok(()),
            Self::Standard => write_stdout(&finished.output).map_err(|error| failed("standard output", &error)),
            Self::Place { destination, path } if matches!(finished.outcome, Outcome::Done | Outcome::Exit) => {
                destination.write(&finished.output).map_err(|error| failed(&path.display().to_string(), &error))
            }
            Self::Place { .. } => Ok(()),
        }
    }
}

fn write_stdout(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let written = if stdout.is_terminal() {
        let mut harmless = show::Harmless::default();
        stdout.write_all(harmless.text(bytes).as_bytes())
    } else {
        stdout.write_all(bytes)
    };
    match written.and_then(|()| stdout.flush()) {
        // Whoever read it has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

fn failed(place: &str, error: &io::Error) -> Failure {
    let what_to_do = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "free some space, and run it again",
        _ => "choose another place with --out, and run it again",
    };
    host("output_unwritable", format!("the result could not be written to {place}: {error}; {what_to_do}"))
}
