//! Windows. Data sets are not passed there yet: handles have no numbers that both sides could agree on beforehand.

use std::fs::File;
use std::io;
use std::os::windows::fs::FileExt;
use std::os::windows::io::AsHandle;
use std::time::Duration;

use windows_sys::Win32::Foundation::FILETIME;
use windows_sys::Win32::System::Threading::{GetCurrentProcess, GetProcessTimes};

/// Standard output without the standard handle's buffer, which waits for lines.
///
/// # Errors
/// When there is none.
pub fn stdout() -> io::Result<File> {
    io::stdout().as_handle().try_clone_to_owned().map(File::from)
}

/// # Errors
/// Always: no data set is passed to a worker here.
pub(crate) fn data_set(_n: usize) -> io::Result<(File, u64)> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "data sets can't be passed to a worker on Windows yet"))
}

/// Fills `buffer` from `file` at `offset`.
///
/// # Errors
/// When there is less.
pub(crate) fn read_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        match file.seek_read(buffer, offset)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                buffer = &mut buffer[read..];
                offset += read as u64;
            }
        }
    }
    Ok(())
}

/// CPU time of this process so far, in steps of the scheduler's tick.
pub(crate) fn cpu_time() -> Duration {
    let [mut created, mut ended, mut kernel, mut user] = [FILETIME::default(); 4];
    // SAFETY: the pseudo-handle of this process is always valid; the results are written to locals.
    let read = unsafe {
        GetProcessTimes(GetCurrentProcess(), &raw mut created, &raw mut ended, &raw mut kernel, &raw mut user)
    };
    // Counts of 100 ns.
    let time = |time: FILETIME| u64::from(time.dwHighDateTime) << 32 | u64::from(time.dwLowDateTime);
    if read == 0 { Duration::ZERO } else { Duration::from_nanos((time(kernel) + time(user)).saturating_mul(100)) }
}
