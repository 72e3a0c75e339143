//! The data descriptors that this process was started with.
//!
//! Deliberately absent: paths. Nothing is ever opened.

use std::fs::File;

use surge_protocol::frame::DataMount;

use crate::ending::Ending;
use crate::host;

/// The most data sets that a task may have.
const MOST: usize = 256;

/// Takes the descriptors of `mounts`, in their order, and checks that each is there and of its announced size. To be
/// called once in the life of a process.
///
/// # Errors
/// `host` / `input` for a descriptor that is missing or of another size.
pub(crate) fn take(mounts: &[DataMount]) -> Result<Vec<File>, Ending> {
    if mounts.len() > MOST {
        return Err(Ending::too_large("data sets", mounts.len() as u64, MOST as u64));
    }
    mounts.iter().enumerate().map(|(n, mount)| one(n, mount)).collect()
}

fn one(n: usize, mount: &DataMount) -> Result<File, Ending> {
    let found = match host::data_set(n) {
        Ok((file, size)) if size == mount.size => return Ok(file),
        Ok((_, size)) => format!("it has {size} bytes"),
        Err(error) => error.to_string(),
    };
    Err(Ending::host("input", format!("the data set {} should have {} bytes: {found}", mount.name, mount.size)))
}
