//! The data descriptors that this process was started with.
//!
//! Deliberately absent: paths. Nothing is ever opened.

use std::fs::File;
use std::os::fd::FromRawFd;

use surge_protocol::frame::{DataMount, FIRST_DATA_FD};
use surge_protocol::task::valid_data_name;

use crate::ending::Ending;

/// The most data sets that a task may have.
const MOST: usize = 256;

/// Takes the descriptors of `mounts`, in their order, and checks that each is there and of its announced size. To be
/// called once in the life of a process.
///
/// # Errors
/// `invalid` / `data` for a name that is none, or not the only one of its kind; `host` / `input` for a descriptor that is
/// missing or of another size.
pub(crate) fn take(mounts: &[DataMount]) -> Result<Vec<File>, Ending> {
    if mounts.len() > MOST {
        return Err(Ending::too_large("data sets", mounts.len() as u64, MOST as u64));
    }
    check_names(mounts)?;
    let files: Vec<File> = (FIRST_DATA_FD..).zip(mounts).map(|(number, _)| adopt(number)).collect();
    for (file, mount) in files.iter().zip(mounts) {
        // The one call for it that is left to a locked-down process.
        let size = rustix::fs::fstat(file).map(|stat| stat.st_size.unsigned_abs());
        if size.as_ref().ok() != Some(&mount.size) {
            let found = size.map_or_else(|error| error.to_string(), |size| format!("it has {size} bytes"));
            let detail = format!("the data set {} should have {} bytes: {found}", mount.name, mount.size);
            return Err(Ending::host("input", detail));
        }
    }
    Ok(files)
}

/// Whoever made the task has checked the names; here nobody is believed.
fn check_names(mounts: &[DataMount]) -> Result<(), Ending> {
    for (n, DataMount { name, .. }) in mounts.iter().enumerate() {
        if !valid_data_name(name) {
            let detail = format!("{name:?} can't name a data set: use letters, digits, `.`, `_` and `-`, at most 100");
            return Err(Ending::invalid("data", detail));
        }
        if mounts[..n].iter().any(|other| other.name == *name) {
            return Err(Ending::invalid("data", format!("it has the data set {name} twice")));
        }
    }
    Ok(())
}

#[expect(unsafe_code, reason = "a descriptor that was passed at start is known by its number only")]
fn adopt(number: i32) -> File {
    // SAFETY: descriptors from FIRST_DATA_FD on are passed by the parent for us to own; nothing in this process has
    // opened anything by itself, and this runs once. A number that is not open yields a file whose every use fails.
    unsafe { File::from_raw_fd(number) }
}
