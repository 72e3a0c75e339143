//! Files and folders that only their owner may read, whatever the umask.

use std::fs::{DirBuilder, OpenOptions, Permissions, set_permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

const FILE: u32 = 0o600;
const FOLDER: u32 = 0o700;

/// Makes `path` a file that only its owner may read and write; its content stays.
///
/// # Errors
/// The file system's.
pub(crate) fn file(path: &Path) -> io::Result<std::fs::File> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(FILE).open(path)?;
    if file.metadata()?.permissions().mode() & 0o777 != FILE {
        file.set_permissions(Permissions::from_mode(FILE))?;
    }
    Ok(file)
}

/// Makes `path` a folder that only its owner may enter, with the folders above it; what is in it stays.
///
/// # Errors
/// The file system's.
pub(crate) fn folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(FOLDER).create(path)?;
    if path.metadata()?.permissions().mode() & 0o777 != FOLDER {
        set_permissions(path, Permissions::from_mode(FOLDER))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_could_read_is_tightened_and_stays() {
        let home = tempfile::tempdir().unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        let (inner, open) = (home.path().join("a/b"), home.path().join("open"));
        folder(&inner).unwrap();
        std::fs::write(&open, "kept").unwrap();
        set_permissions(&open, Permissions::from_mode(0o644)).unwrap();
        set_permissions(&inner, Permissions::from_mode(0o755)).unwrap();
        folder(&inner).unwrap();
        drop(file(&open).unwrap());
        drop(file(&inner.join("new")).unwrap());
        assert_eq!([mode(&inner), mode(&open), mode(&inner.join("new"))], [0o700, 0o600, 0o600]);
        assert_eq!(std::fs::read_to_string(open).unwrap(), "kept");
    }
}
