//! The data descriptors that this process was started with.
//!
//! Deliberately absent: paths. Nothing is ever opened.

use std::fs::File;

use surge_protocol::frame::DataMount;
use surge_protocol::task::valid_data_name;

use crate::ending::Ending;
use crate::host;

/// The most data sets that a task may have.
const MOST: usize = 256;

/// Takes the descriptors of `mounts`, in their order, and checks that each is there and of its announced size. To be
/// called once in the life of a process.
///
/// # Errors
/// `invalid` / `data` for a name that is not allowed, or that occurs twice; `host` / `input` for a descriptor that is
/// missing or of another size.
pub(crate) fn take(mounts: &[DataMount]) -> Result<Vec<File>, Ending> {
    if mounts.len() > MOST {
        return Err(Ending::too_large("data sets", mounts.len() as u64, MOST as u64));
    }
    check_names(mounts)?;
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

/// Names are checked here again, whoever has checked them before.
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
