//! Serves a disk of the tests: `slow-disk FOLDER MOUNT-POINT`. See `surge_tests::disk`.

use std::io;
use std::path::PathBuf;

fn main() -> io::Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    match (arguments.next(), arguments.next()) {
        #[cfg(target_os = "linux")]
        (Some(folder), Some(at)) => surge_tests::disk::serve(&folder, &at),
        _ => Err(io::Error::other("on Linux: slow-disk FOLDER MOUNT-POINT")),
    }
}
