//! One check of a home folder, for every command that writes there or runs an engine: it is a folder that only its owner
//! can look into, and that can be written.

use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::Access;
use thiserror::Error;

use crate::paths::Paths;

/// Why a folder can't be a home.
#[derive(Debug, Error)]
pub enum HomeError {
    #[error("the home {} is not a folder: name another with --home or SURGE_HOME", .0.display())]
    NotFolder(PathBuf),
    #[error("the home {} can't be made ({source}): name another with --home or SURGE_HOME", path.display())]
    CantBeMade { path: PathBuf, source: io::Error },
    #[error("the home {} can't be written: {source}", path.display())]
    CantBeWritten { path: PathBuf, source: io::Error },
}

impl HomeError {
    /// A stable word for programs: `bad_home` stays until somebody acts, `home_unusable` may pass.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFolder(_) => "bad_home",
            Self::CantBeMade { .. } | Self::CantBeWritten { .. } => "home_unusable",
        }
    }
}

/// Checks that the home is a folder, if it is there at all: for commands that only read.
///
/// # Errors
/// `NotFolder`.
pub fn check(paths: &Paths) -> Result<(), HomeError> {
    match fs::metadata(&paths.home) {
        Ok(found) if !found.is_dir() => Err(HomeError::NotFolder(paths.home.clone())),
        Err(error) if error.kind() == ErrorKind::NotADirectory => Err(HomeError::NotFolder(paths.home.clone())),
        _ => Ok(()),
    }
}

/// Makes the home where there is none; takes from others what an older version let them do: it is 0700 after this, and what
/// is in it that others should not read is 0600. Files that are links to elsewhere stay as they are.
///
/// # Errors
/// When it can't be a home.
pub fn prepare(paths: &Paths) -> Result<(), HomeError> {
    let home = &paths.home;
    make(home)?;
    let found = fs::metadata(home).map_err(|source| HomeError::CantBeMade { path: home.clone(), source })?;
    if !found.is_dir() {
        return Err(HomeError::NotFolder(home.clone()));
    }
    let user = rustix::process::geteuid();
    let own = user.is_root() || found.uid() == user.as_raw();
    let unwritable = |source| HomeError::CantBeWritten { path: home.clone(), source };
    rustix::fs::access(home, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| unwritable(error.into()))?;
    if !own {
        // Whoever shares a folder with this user decides who else may look into it.
        return Ok(());
    }
    if found.mode() & 0o077 != 0 {
        fs::set_permissions(home, Permissions::from_mode(0o700)).map_err(unwritable)?;
    }
    for file in private_files(paths) {
        make_private(&file).map_err(unwritable)?;
    }
    Ok(())
}

fn make(home: &Path) -> Result<(), HomeError> {
    let cant = |source: io::Error| match source.kind() {
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => HomeError::NotFolder(home.to_owned()),
        _ => HomeError::CantBeMade { path: home.to_owned(), source },
    };
    if home.is_dir() {
        return Ok(());
    }
    if let Some(parent) = home.parent() {
        fs::create_dir_all(parent).map_err(cant)?;
    }
    match DirBuilder::new().mode(0o700).create(home) {
        // Another command was faster.
        Err(error) if error.kind() == ErrorKind::AlreadyExists && home.is_dir() => Ok(()),
        made => made.map_err(cant),
    }
}

/// Files whose contents are nobody else's business: keys, money, and when somebody is away from home.
fn private_files(paths: &Paths) -> Vec<PathBuf> {
    let beside = |path: PathBuf, ending: &str| {
        let mut name = path.into_os_string();
        name.push(ending);
        PathBuf::from(name)
    };
    vec![
        paths.settings(),
        paths.network(),
        paths.payout(),
        paths.device_key(),
        paths.store(),
        beside(paths.store(), "-wal"),
        beside(paths.store(), "-shm"),
        paths.log(),
        beside(paths.log(), ".1"),
        paths.crash(),
    ]
}

fn make_private(file: &Path) -> io::Result<()> {
    match fs::symlink_metadata(file) {
        Ok(found) if found.is_file() && found.mode() & 0o077 != 0 => {
            fs::set_permissions(file, Permissions::from_mode(found.mode() & 0o700))
        }
        // It is not there, and need not be; or it is not ours to change.
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn a_home_is_made_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths { home: folder.path().join("deep/home") };
        prepare(&paths).unwrap();
        assert_eq!(mode(&paths.home), 0o700);
        prepare(&paths).unwrap();
    }

    #[test]
    fn an_old_home_is_closed_to_others_and_links_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths { home: folder.path().join("home") };
        fs::create_dir_all(paths.home.join("log")).unwrap();
        let shared = folder.path().join("shared.toml");
        for file in [paths.network(), paths.store(), paths.log(), shared.clone()] {
            fs::write(&file, "").unwrap();
            fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        }
        fs::set_permissions(&paths.home, Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::symlink(&shared, paths.settings()).unwrap();
        prepare(&paths).unwrap();
        assert_eq!(mode(&paths.home), 0o700);
        for file in [paths.network(), paths.store(), paths.log()] {
            assert_eq!(mode(&file), 0o600, "{}", file.display());
        }
        assert_eq!(mode(&shared), 0o644, "a file that the settings are a link to has rights of its own");
    }

    #[test]
    fn what_can_be_no_home_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        for home in [file.clone(), file.join("below")] {
            let paths = Paths { home };
            for error in [prepare(&paths).unwrap_err(), check(&paths).unwrap_err()] {
                assert!(matches!(error, HomeError::NotFolder(_)), "{error}");
                assert_eq!(error.code(), "bad_home");
            }
        }
        check(&Paths { home: folder.path().join("not yet") }).unwrap();
        let error = prepare(&Paths { home: "/proc/surge".into() }).unwrap_err();
        assert_eq!(error.code(), "home_unusable", "{error}");
    }
}
