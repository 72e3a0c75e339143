//! Where the result goes: standard output, or a file that is there whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};

use super::{Problem, show};

/// Where the result will go. Whether it can go there is known before the task runs.
#[derive(Debug)]
pub(super) enum Destination {
    Stdout,
    /// A file: written beside, then renamed.
    File {
        beside: Beside,
        path: PathBuf,
    },
    /// A device or pipe, which must not be replaced by a file.
    Special {
        file: File,
        path: PathBuf,
    },
}

/// A file in the making; it is removed unless it was finished.
#[derive(Debug)]
pub(super) struct Beside {
    file: File,
    path: PathBuf,
    finished: bool,
}

impl Destination {
    pub(super) fn prepare(out: Option<&Path>) -> Result<Self, Problem> {
        let Some(path) = out else { return Ok(Self::Stdout) };
        let refuse = |error: io::Error| {
            let message = format!("{} can't be written: {error}. Choose another place with --out", path.display());
            Problem::usage("out_unwritable", message)
        };
        let path = path.to_owned();
        match fs::metadata(&path) {
            Ok(found) if found.is_dir() => Err(refuse(ErrorKind::IsADirectory.into())),
            Ok(found) if !found.is_file() => {
                let file = OpenOptions::new().write(true).open(&path).map_err(refuse)?;
                Ok(Self::Special { file, path })
            }
            _ => {
                let beside = Beside::create(&path).map_err(refuse)?;
                Ok(Self::File { beside, path })
            }
        }
    }

    pub(super) fn write(self, bytes: &[u8]) -> Result<(), Problem> {
        match self {
            Self::Stdout => write_stdout(bytes).map_err(|error| failed("standard output", &error)),
            Self::Special { mut file, path } => {
                file.write_all(bytes).map_err(|error| failed(&path.display().to_string(), &error))
            }
            Self::File { beside, path } => {
                beside.finish(bytes, &path).map_err(|error| failed(&path.display().to_string(), &error))
            }
        }
    }
}

impl Beside {
    fn create(path: &Path) -> io::Result<Self> {
        let name = path.file_name().ok_or(ErrorKind::InvalidFilename)?;
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}.part", std::process::id()));
        let path = path.with_file_name(hidden);
        let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        Ok(Self { file, path, finished: false })
    }

    fn finish(mut self, bytes: &[u8], path: &Path) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.file.sync_all()?;
        fs::rename(&self.path, path)?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if !self.finished {
            // It holds nothing that anybody would miss.
            let _ = fs::remove_file(&self.path);
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

fn failed(place: &str, error: &io::Error) -> Problem {
    let what_to_do = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "free some space, and run it again",
        _ => "choose another place with --out, and run it again",
    };
    Problem::host("output_unwritable", format!("the result could not be written to {place}: {error}; {what_to_do}"))
}
