//! The files of the home that say for whom this device works and as whom, read and checked.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use surge_platform::paths::Paths;
use surge_protocol::Address;
use surge_protocol::network::{Network, NetworkError, SignedNetwork};
use surge_protocol::sign::{Key, PayoutBinding, SignatureError, Signed};
use surge_supervisor::NoWorker;
use thiserror::Error;

use crate::files::{self, FileError, write_atomic};
use crate::settings::{Change, ChangeError, Settings};

/// A key, a binding and a manifest have a few KiB at most.
const LARGEST: u64 = 64 << 10;

/// What a crash may cost a task that syncs, in CPU time.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(10);

/// The payout account that takes this device's rewards, signed by that account's key. It holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payout {
    pub payout: Address,
    /// Unix seconds.
    pub issued_at: u64,
    pub signature: Signed,
}

/// What an engine is started with. All else is read from the home, and read again when it changes there.
#[derive(Debug, Clone)]
pub struct Config {
    pub paths: Paths,
    /// What holds over the settings file for this run.
    pub overrides: Vec<Change>,
    /// CPU time between two checkpoints of a task, at least.
    pub checkpoint_every: Duration,
    /// Ends when it is not set up, rather than to wait until it is.
    pub exit_when_not_set_up: bool,
}

#[derive(Debug, Error)]
pub enum ConfigError {
    #[error("no network is attached: run `surge attach URL-OR-FILE`")]
    NoNetwork,
    #[error("{path}: the network manifest is not valid")]
    Network { path: PathBuf, source: NetworkError },
    #[error("no payout account: run `surge wallet new`, or `surge wallet import`")]
    NoPayout,
    #[error("{path}: the payout binding is not this device's; run `surge wallet bind`")]
    Payout { path: PathBuf, source: SignatureError },
    #[error("{path} is not what it should be: {message}")]
    Malformed { path: PathBuf, message: String },
    #[error(transparent)]
    File(#[from] FileError),
    #[error("{path}: the device key is damaged; move it away and start again as a new device")]
    DeviceKey { path: PathBuf },
    #[error(transparent)]
    NoWorker(#[from] NoWorker),
    #[error("{path} can't be read or written")]
    Io { path: PathBuf, source: std::io::Error },
}

impl ConfigError {
    /// A stable word for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoNetwork => "no_network",
            Self::Network { .. } => "bad_network",
            Self::NoPayout => "no_payout",
            Self::Payout { .. } => "bad_payout",
            Self::Malformed { .. } | Self::File(_) => "malformed_file",
            Self::DeviceKey { .. } => "bad_device_key",
            Self::NoWorker(_) => "no_worker",
            Self::Io { .. } => "io",
        }
    }
}

impl Config {
    #[must_use]
    pub fn new(paths: Paths) -> Self {
        Self { paths, overrides: Vec::new(), checkpoint_every: CHECKPOINT_EVERY, exit_when_not_set_up: false }
    }

    /// Changes a setting for this run: it holds over the file, also when that changes.
    ///
    /// # Errors
    /// When the key can't have this value.
    pub fn overrule(&mut self, change: Change) -> Result<(), ChangeError> {
        change.apply(&mut Settings::default())?;
        self.overrides.push(change);
        Ok(())
    }
}

/// The attached network.
///
/// # Errors
/// `NoNetwork`, or what is wrong with the manifest.
pub fn read_network(path: &Path) -> Result<Network, ConfigError> {
    let signed: SignedNetwork = read_json(path)?.ok_or(ConfigError::NoNetwork)?;
    signed.verified().map_err(|source| ConfigError::Network { path: path.to_owned(), source })
}

/// This device's key; made on first use.
///
/// # Errors
/// When the file is damaged or can't be written.
pub fn device_key(path: &Path) -> Result<Key, ConfigError> {
    let io = |source| ConfigError::Io { path: path.to_owned(), source };
    let damaged = || ConfigError::DeviceKey { path: path.to_owned() };
    // Of two commands that make it at once, the second takes the first one's.
    let _mine = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| files::lock(path)).map_err(io)?;
    match files::read_text(path, LARGEST) {
        Ok(text) => {
            let mut secret = [0; 32];
            hex::decode_to_slice(text.trim(), &mut secret).map_err(|_| damaged())?;
            Key::from_bytes(&secret).map_err(|_| damaged())
        }
        Err(error) if error.is_missing() => {
            let mut secret = [0; 32];
            getrandom::fill(&mut secret).map_err(|error| io(std::io::Error::other(error)))?;
            // All but about one in 2^128 values are keys.
            let key = Key::from_bytes(&secret).map_err(|_| damaged())?;
            write_atomic(path, hex::encode(secret).as_bytes(), 0o600).map_err(io)?;
            Ok(key)
        }
        Err(error) => Err(error.into()),
    }
}

/// The payout binding of the device with the address `device`.
///
/// # Errors
/// `NoPayout`, or what is wrong with the binding.
pub fn read_payout(path: &Path, network: &Network, device: Address) -> Result<Payout, ConfigError> {
    let payout: Payout = read_json(path)?.ok_or(ConfigError::NoPayout)?;
    let binding = PayoutBinding { node: device, payout: payout.payout, issuedAt: payout.issued_at };
    payout
        .signature
        .verify(&binding, &network.domain(), payout.payout)
        .map_err(|source| ConfigError::Payout { path: path.to_owned(), source })?;
    Ok(payout)
}

fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Option<T>, ConfigError> {
    match files::read_bounded(path, LARGEST) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| ConfigError::Malformed { path: path.to_owned(), message: error.to_string() }),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_device_key_is_made_once_and_kept_private() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("device.key");
        let first = device_key(&path).unwrap().address();
        assert_eq!(device_key(&path).unwrap().address(), first);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&path, "garbage").unwrap();
        assert_eq!(device_key(&path).unwrap_err().code(), "bad_device_key");
    }

    #[test]
    fn commands_that_make_the_device_key_at_once_have_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("home/device.key");
        let make = || device_key(&path).unwrap().address();
        let made: Vec<_> = std::thread::scope(|scope| {
            let makers: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
            makers.into_iter().map(|maker| maker.join().unwrap()).collect()
        });
        assert!(made.iter().all(|key| *key == made[0]), "{made:?}");
    }

    #[test]
    fn what_is_missing_is_named_with_the_command_that_mends_it() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths { home: folder.path().to_owned() };
        let error = read_network(&paths.network()).unwrap_err();
        assert_eq!(error.code(), "no_network");
        assert!(error.to_string().contains("surge attach"));
    }
}
