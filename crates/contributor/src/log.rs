//! What the engine logged lately, in the home folder: two files of at most 1 MiB, for `surge report` and for whoever looks
//! after a night.
//!
//! Whoever logs never waits: a thread of its own writes, here and to standard error, and what it can't keep up with is
//! dropped. A terminal that was stopped by a key must not keep the engine from hearing of that key.
//!
//! Deliberately absent: levels and formats, which are the program's. A log that can't be written is no reason to stop
//! anything, so no error leaves here after the file was opened.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

pub use tracing_appender::non_blocking::WorkerGuard;
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder};

/// The size at which a file makes room for the next, bytes.
const FULL: u64 = 1 << 20;
/// Lines that wait for a writer, at most. Room for each is taken at the start.
const LINES_WAITING: usize = 1_000;
/// How much of the end is looked at for its last lines, bytes.
const TAIL: u64 = 256 << 10;

/// A writer that never waits for `writer`. What is left is written when the guard goes, within a second or two.
pub fn aside(writer: impl Write + Send + 'static) -> (NonBlocking, WorkerGuard) {
    NonBlockingBuilder::default().buffered_lines_limit(LINES_WAITING).finish(writer)
}

/// The file that is written now.
#[derive(Debug, Clone)]
pub struct LogFile(Arc<Current>);

#[derive(Debug)]
struct Current {
    path: PathBuf,
    open: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    size: u64,
}

impl LogFile {
    /// Goes on with the file at `path`.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn open(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        Ok(Self(Arc::new(Current { path: path.to_owned(), open: Mutex::new(open(path)?) })))
    }
}

impl Current {
    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let mut current = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if current.size > 0 && current.size + bytes.len() as u64 > FULL {
            fs::rename(&self.path, before(&self.path))?;
            *current = open(&self.path)?;
        }
        current.size += bytes.len() as u64;
        current.file.write_all(bytes)
    }
}

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // The disk is full, or somebody took the folder away: what is logged is lost here, and nothing else.
        let _ = self.0.write(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The last `count` lines, oldest first.
///
/// # Errors
/// When there is a file that can't be read.
pub fn last_lines(path: &Path, count: usize) -> io::Result<Vec<String>> {
    let text = end(&before(path))? + &end(path)?;
    let lines: Vec<_> = text.lines().map(str::to_owned).collect();
    Ok(lines[lines.len().saturating_sub(count)..].to_vec())
}

fn open(path: &Path) -> io::Result<Open> {
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    let size = file.metadata()?.len();
    Ok(Open { file, size })
}

/// Where the file before this one is.
fn before(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    name.into()
}

fn end(path: &Path) -> io::Result<String> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        opened => opened?,
    };
    let size = file.metadata()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(TAIL)))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_files_hold_the_newest_lines_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log/surge.log");
        let mut log = LogFile::open(&path).unwrap();
        let line = |n: u32| format!("{n:09} {}\n", "x".repeat(989));
        for n in 0..2_500 {
            log.write_all(line(n).as_bytes()).unwrap();
        }
        let size = |path: &Path| fs::metadata(path).unwrap().len();
        assert!(size(&path) <= FULL && size(&before(&path)) <= FULL);
        assert_eq!(fs::read_dir(folder.path().join("log")).unwrap().count(), 2);
        let last = last_lines(&path, 300).unwrap();
        assert_eq!((last.len(), &last[299][..9]), (300, "000002499"));

        drop(log);
        let mut log = LogFile::open(&path).unwrap();
        log.write_all(b"goes on\n").unwrap();
        assert_eq!(last_lines(&path, 2).unwrap()[1], "goes on");
        assert!(last_lines(&path, 2).unwrap()[0].starts_with("000002499"), "nothing was cut at the start");
    }

    #[test]
    fn a_log_that_cannot_be_written_stops_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log/surge.log");
        let mut log = LogFile::open(&path).unwrap();
        fs::remove_dir_all(folder.path().join("log")).unwrap();
        for _ in 0..3_000 {
            log.write_all(&[b'x'; 1_000]).unwrap();
        }
        assert_eq!(last_lines(&path, 5).unwrap(), Vec::<String>::new());
    }
}
