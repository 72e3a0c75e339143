//! Linux and macOS.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, FromRawFd};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use surge_protocol::frame::FIRST_DATA_FD;

/// Standard output without the standard handle's buffer, which waits for lines.
///
/// # Errors
/// When there is none.
pub fn stdout() -> io::Result<File> {
    io::stdout().as_fd().try_clone_to_owned().map(File::from)
}

/// The n-th data set, and its size. To be called once for each in the life of a process.
///
/// # Errors
/// When it was not passed.
pub(crate) fn data_set(n: usize) -> io::Result<(File, u64)> {
    let number = i32::try_from(n).ok().and_then(|n| n.checked_add(FIRST_DATA_FD)).ok_or(io::ErrorKind::InvalidInput)?;
    // SAFETY: descriptors from FIRST_DATA_FD on are passed by the parent for us to own; nothing in this process has
    // opened anything by itself, and each is adopted once. A number that is not open yields a file whose every use fails.
    let file = unsafe { File::from_raw_fd(number) };
    // The one call for it that is left to a locked-down process.
    let size = rustix::fs::fstat(&file)?.st_size.unsigned_abs();
    Ok((file, size))
}

/// Fills `buffer` from `file` at `offset`.
///
/// # Errors
/// When there is less.
pub(crate) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    file.read_exact_at(buffer, offset)
}

/// CPU time of this process so far.
pub(crate) fn cpu_time() -> Duration {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}
