//! The operating system's keychain: one 256-bit secret a vault, kept where the user's login unlocks it.
//!
//! The system's calls block, and may wait for a person who is not there. Each runs on a thread of its own with a time
//! limit; what is late is an error, never a hang.

use std::fmt;
use std::sync::mpsc;
use std::time::Duration;

use thiserror::Error;
use zeroize::Zeroizing;

use super::seal::Secret;

#[cfg(target_os = "linux")]
#[path = "keychain/secret_service.rs"]
mod system;
#[cfg(not(target_os = "linux"))]
#[path = "keychain/none.rs"]
mod system;

/// Long enough for a person to type the keychain's password, short enough for a program that waits.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Why the keychain did not give or take a secret.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum KeychainError {
    #[error("this system has no usable keychain ({0})")]
    Absent(String),
    #[error("the keychain is locked: unlock it (log in to the desktop, or answer its prompt), then try again")]
    Locked,
    #[error(
        "the keychain did not answer within {0} s; it may be waiting for you to unlock it. Unlock it, then try again"
    )]
    Silent(u64),
    #[error("the keychain works, but holds no key for this wallet")]
    NoEntry,
    #[error("the keychain failed: {0}")]
    Failed(String),
}

impl KeychainError {
    /// A stable word, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Absent(_) => "keychain_absent",
            Self::Locked => "keychain_locked",
            Self::Silent(_) => "keychain_silent",
            Self::NoEntry => "keychain_no_entry",
            Self::Failed(_) => "keychain_failed",
        }
    }
}

/// A place for secrets by name.
pub trait Keychain: fmt::Debug + Send + Sync {
    /// # Errors
    /// `NoEntry` when nothing was stored under `name`; else why the keychain can't be used.
    fn get(&self, name: &str) -> Result<Secret, KeychainError>;

    /// Stores `secret` under `name`, replacing what was there.
    ///
    /// # Errors
    /// Why the keychain can't be used.
    fn set(&self, name: &str, secret: &Secret) -> Result<(), KeychainError>;

    /// Removes `name`; nothing happens when it was not there.
    ///
    /// # Errors
    /// Why the keychain can't be used.
    fn remove(&self, name: &str) -> Result<(), KeychainError>;
}

/// The keychain of this system and login.
#[derive(Debug, Clone, Copy)]
pub struct SystemKeychain {
    pub patience: Duration,
}

impl Default for SystemKeychain {
    fn default() -> Self {
        Self { patience: PATIENCE }
    }
}

impl Keychain for SystemKeychain {
    fn get(&self, name: &str) -> Result<Secret, KeychainError> {
        let name = name.to_owned();
        let text = Zeroizing::new(within(self.patience, move || system::get(&name))?);
        let mut secret = Secret::default();
        hex::decode_to_slice(text.as_bytes(), &mut *secret)
            .map_err(|_| KeychainError::Failed("its entry is not what this wallet stored".into()))?;
        Ok(secret)
    }

    fn set(&self, name: &str, secret: &Secret) -> Result<(), KeychainError> {
        // Text, because some keychains keep nothing else.
        let (name, text) = (name.to_owned(), Zeroizing::new(hex::encode(**secret)));
        within(self.patience, move || system::set(&name, &text))
    }

    fn remove(&self, name: &str) -> Result<(), KeychainError> {
        let name = name.to_owned();
        within(self.patience, move || system::remove(&name)).or_else(|error| match error {
            KeychainError::NoEntry => Ok(()),
            error => Err(error),
        })
    }
}

/// Runs `call` on a thread of its own. A thread that is late is left to itself: it holds nothing but its own question.
fn within<T: Send + 'static>(
    patience: Duration,
    call: impl FnOnce() -> Result<T, KeychainError> + Send + 'static,
) -> Result<T, KeychainError> {
    let (answer, answered) = mpsc::sync_channel(1);
    std::thread::Builder::new()
        .name("keychain".into())
        .spawn(move || answer.send(call()))
        .map_err(|error| KeychainError::Failed(error.to_string()))?;
    match answered.recv_timeout(patience) {
        Ok(result) => result,
        Err(mpsc::RecvTimeoutError::Timeout) => Err(KeychainError::Silent(patience.as_secs())),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            Err(KeychainError::Failed("it stopped in the middle of a call".into()))
        }
    }
}

/// A system that is treated as one without a keychain: the passphrase alone locks the wallet.
#[derive(Debug, Clone, Copy)]
pub struct NoKeychain;

impl NoKeychain {
    fn absent<T>() -> Result<T, KeychainError> {
        Err(KeychainError::Absent("it was left out by request".into()))
    }
}

impl Keychain for NoKeychain {
    fn get(&self, _name: &str) -> Result<Secret, KeychainError> {
        Self::absent()
    }

    fn set(&self, _name: &str, _secret: &Secret) -> Result<(), KeychainError> {
        Self::absent()
    }

    fn remove(&self, _name: &str) -> Result<(), KeychainError> {
        Self::absent()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keychain_that_waits_for_ever_is_an_error_in_time() {
        let (_never, wait) = mpsc::channel::<()>();
        let result = within(Duration::from_millis(20), move || {
            let _ = wait.recv();
            Ok(())
        });
        assert_eq!(result, Err(KeychainError::Silent(0)));
    }

    #[test]
    fn a_keychain_that_panics_is_an_error() {
        let result = within::<()>(Duration::from_secs(10), || panic!("as a broken library would"));
        assert!(matches!(result, Err(KeychainError::Failed(_))));
    }
}
