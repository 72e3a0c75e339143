//! Files that a person named: what they are and how large is known before they are read into memory.

use std::fs::{File, FileType, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// A file that can't be taken for what it was named as.
#[derive(Debug, Error)]
#[error("{} {problem}", path.display())]
pub struct FileError {
    pub path: PathBuf,
    pub problem: FileProblem,
}

/// What is wrong with a file.
#[derive(Debug, Error)]
pub enum FileProblem {
    #[error("is not there: check the path")]
    Missing,
    /// A folder, a pipe, a device: what it is.
    #[error("is {0}, and must be a regular file")]
    NotFile(&'static str),
    #[error("has more than {}, which is too much for a file of its kind", size(*.limit))]
    TooLarge { limit: u64 },
    #[error("is not text (UTF-8): byte {at} is no part of any; save it again as UTF-8")]
    NotText {
        /// The first byte that is wrong, from 0.
        at: usize,
    },
    #[error("can't be read: {0}")]
    Io(io::Error),
}

impl FileProblem {
    fn io(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            _ => Self::Io(error),
        }
    }
}

impl FileError {
    /// A stable word for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "bad_file"
    }

    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self.problem, FileProblem::Missing)
    }
}

/// The bytes of the file at `path`, at most `limit`. A pipe counts as a file only where the shell has already opened it for
/// this process, as `<(command)` does: no other is waited for.
///
/// # Errors
/// When it is no regular file, larger, or can't be read.
pub fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
    bounded(path, limit).map_err(|problem| FileError { path: path.to_owned(), problem })
}

/// As [`read_bounded`], for a text.
///
/// # Errors
/// As [`read_bounded`]; and when it is not UTF-8.
pub fn read_text(path: &Path, limit: u64) -> Result<String, FileError> {
    let bytes = read_bounded(path, limit)?;
    String::from_utf8(bytes).map_err(|error| FileError {
        path: path.to_owned(),
        problem: FileProblem::NotText { at: error.utf8_error().valid_up_to() },
    })
}

fn bounded(path: &Path, limit: u64) -> Result<Vec<u8>, FileProblem> {
    // Without this flag, opening a pipe that nobody writes to would never end.
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(nonblocking).open(path).map_err(FileProblem::io)?;
    let found = file.metadata().map_err(FileProblem::Io)?;
    let inherited =
        ["/dev/fd/", "/proc/self/fd/", "/dev/stdin"].iter().any(|begin| path.to_string_lossy().starts_with(begin));
    if found.file_type().is_fifo() && inherited {
        let blocking = File::open(path).map_err(FileProblem::io)?;
        return take(blocking, limit);
    }
    if is_null(&found) {
        // The usual name of an empty file.
        return Ok(Vec::new());
    }
    if !found.is_file() {
        return Err(FileProblem::NotFile(kind(found.file_type())));
    }
    if found.len() > limit {
        return Err(FileProblem::TooLarge { limit });
    }
    take(file, limit)
}

/// Reads to the end, unless that is too far: a file may grow, and those of the kernel say that they are empty.
fn take(from: impl Read, limit: u64) -> Result<Vec<u8>, FileProblem> {
    let mut bytes = Vec::new();
    from.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(FileProblem::Io)?;
    if bytes.len() as u64 > limit { Err(FileProblem::TooLarge { limit }) } else { Ok(bytes) }
}

/// Whether it is `/dev/null`.
fn is_null(found: &Metadata) -> bool {
    found.file_type().is_char_device() && found.rdev() == rustix::fs::makedev(1, 3)
}

fn kind(found: FileType) -> &'static str {
    if found.is_dir() {
        "a folder"
    } else if found.is_fifo() {
        "a pipe"
    } else if found.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        bytes if bytes >= 1 << 20 => format!("{} MiB", bytes >> 20),
        bytes => format!("{} KiB", bytes >> 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_and_what_is_none_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("text"), "grüße").unwrap();
        std::fs::write(path("latin"), b"gr\xfc\xdfe").unwrap();
        std::fs::write(path("large"), vec![b'x'; 2000]).unwrap();
        std::fs::create_dir(path("folder")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, path("pipe"), 0o600.into()).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        assert_eq!(read_text(&path("text"), 1000).unwrap(), "grüße");
        assert_eq!(read_bounded(&path("large"), 2000).unwrap().len(), 2000, "the limit itself is allowed");
        for (name, said) in [
            ("latin", "is not text (UTF-8): byte 2"),
            ("large", "has more than 1 KiB"),
            ("folder", "is a folder"),
            ("pipe", "is a pipe"),
            ("missing", "is not there"),
        ] {
            let error = read_text(&path(name), 1500).unwrap_err().to_string();
            assert!(error.contains(said) && error.contains(&path(name).display().to_string()), "{error}");
        }
        let error = read_bounded(Path::new("/dev/zero"), 1500).unwrap_err().to_string();
        assert!(error.contains("is a device"), "{error}");
        assert_eq!(read_bounded(Path::new("/dev/null"), 1500).unwrap(), b"");
        assert!(read_bounded(&path("socket"), 1500).is_err());
    }

    #[test]
    fn a_pipe_that_the_shell_opened_is_read_to_its_end_and_no_further_than_the_limit() {
        use std::io::Write;
        use std::os::fd::AsRawFd;
        for (length, limit, fits) in [(1000, 1000, true), (1000, 999, false)] {
            let (read, mut write) = std::io::pipe().unwrap();
            let path = PathBuf::from(format!("/dev/fd/{}", read.as_raw_fd()));
            write.write_all(&vec![b'x'; length]).unwrap();
            drop(write);
            assert_eq!(read_bounded(&path, limit).is_ok(), fits);
        }
    }
}
