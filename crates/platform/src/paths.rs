//! Where everything is kept.

#[cfg(unix)]
mod socket;

use std::path::{Path, PathBuf};

use thiserror::Error;

#[cfg(unix)]
pub use socket::{check_private_folder, make_private_folder};

/// The home of the system service: systemd makes it.
const SYSTEM_HOME: &str = "/var/lib/surge";

/// Every path that a contributor uses, below one home folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    pub home: PathBuf,
}

#[derive(Debug, Error)]
#[error("no home folder for this user: set SURGE_HOME")]
pub struct NoHome;

impl Paths {
    /// The folder given, else `$SURGE_HOME`, else the user's data folder (`~/.local/share/surge` on Linux).
    ///
    /// # Errors
    /// When the system knows no home folder for this user.
    pub fn resolve(given: Option<&Path>) -> Result<Self, NoHome> {
        let given = given.filter(|home| !home.as_os_str().is_empty()).map(Path::to_owned);
        let variable = || std::env::var_os("SURGE_HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
        let set = given.or_else(variable);
        let home = match set {
            Some(home) => home,
            None => directories::ProjectDirs::from("", "", "surge").ok_or(NoHome)?.data_dir().to_owned(),
        };
        Ok(Self { home: std::path::absolute(&home).unwrap_or(home) })
    }

    /// Those of the system service, which computes for the whole machine.
    #[must_use]
    pub fn system() -> Self {
        Self { home: SYSTEM_HOME.into() }
    }

    /// Whether they are the system service's.
    #[must_use]
    pub fn is_system(&self) -> bool {
        self.home == Path::new(SYSTEM_HOME)
    }

    /// The owner's settings.
    #[must_use]
    pub fn settings(&self) -> PathBuf {
        self.home.join("settings.toml")
    }

    /// The attached network's signed manifest.
    #[must_use]
    pub fn network(&self) -> PathBuf {
        self.home.join("network.json")
    }

    /// The device key, 0600.
    #[must_use]
    pub fn device_key(&self) -> PathBuf {
        self.home.join("device.key")
    }

    /// The payout binding that the wallet signed.
    #[must_use]
    pub fn payout(&self) -> PathBuf {
        self.home.join("payout.json")
    }

    /// The engine's database.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.home.join("engine.sqlite")
    }

    /// Verified blobs by digest.
    #[must_use]
    pub fn blobs(&self) -> PathBuf {
        self.home.join("blobs")
    }

    /// Outputs of finished tasks, by digest, until they are delivered.
    #[must_use]
    pub fn outputs(&self) -> PathBuf {
        self.home.join("outputs")
    }

    /// What running tasks last synced, a folder for each lease.
    #[must_use]
    pub fn checkpoints(&self) -> PathBuf {
        self.home.join("checkpoints")
    }

    /// Compiled code, 0700: whoever can write there with its key runs code in a worker.
    #[must_use]
    pub fn code(&self) -> PathBuf {
        self.home.join("code")
    }

    /// What the engine logged lately: `surge.log`, and before it `surge.log.1`.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.home.join("log/surge.log")
    }

    /// What was known at the last crash.
    #[must_use]
    pub fn crash(&self) -> PathBuf {
        self.home.join("log/crash.txt")
    }

    /// Held by the one engine of this home.
    #[must_use]
    pub fn engine_lock(&self) -> PathBuf {
        self.home.join("engine.lock")
    }

    /// The wallet's own folder: never emptied by an uninstaller.
    #[must_use]
    pub fn wallet(&self) -> PathBuf {
        self.home.join("wallet")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_is_where_it_was_given_by_its_whole_path() {
        let here = std::env::current_dir().unwrap();
        assert_eq!(Paths::resolve(Some(Path::new("a/b"))).unwrap().home, here.join("a/b"));
        let usual = Paths::resolve(Some(Path::new(""))).unwrap().home;
        assert!(usual.is_absolute() && usual != here, "an empty name is none: {}", usual.display());
    }
}
