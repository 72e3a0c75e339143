//! The vault: where a wallet's words are kept, locked by the operating system's keychain, a passphrase, or both.
//!
//! It never makes a wallet where one is, never opens a keychain-locked wallet in a weaker way, and never shows the words
//! unless asked for just that. It does not know what money is.

mod file;
mod hexed;
pub mod keychain;
mod seal;

use std::fmt;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use surge_protocol::Address;
use thiserror::Error;

use crate::{Wallet, Words};
use file::ReadError;
pub(crate) use file::make_private_folder;
pub use keychain::{Keychain, KeychainError, NoKeychain, SystemKeychain};
pub use seal::{Cost, Mode, Secret};
use seal::{FORMAT, Factors, Header, OpenError, Sealed, VERSION};

/// The vault of one folder.
#[derive(Clone)]
pub struct Vault {
    folder: PathBuf,
    keychain: Arc<dyn Keychain>,
    cost: Cost,
}

/// What can be told of a vault without unlocking it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    pub address: Address,
    pub mode: Mode,
}

/// Why a vault was not created or opened.
#[derive(Debug, Error)]
pub enum VaultError {
    #[error("there is no wallet in {}. Make one with `surge wallet new`, or bring your words with `surge wallet import`.", .0.display())]
    Absent(PathBuf),
    #[error("there is a wallet in {} already, and it was left as it is. To use another, choose another folder.", .0.display())]
    Exists(PathBuf),
    #[error("another process is changing the wallet in {} just now. Try again when it is done.", .0.display())]
    Busy(PathBuf),
    #[error("the passphrase is wrong. Nothing was changed; try again.")]
    WrongPassphrase,
    #[error("this wallet is locked with a passphrase, and none was given.")]
    PassphraseNeeded,
    #[error("a passphrase is needed to lock the wallet, because {0}. Choose one and try again.")]
    PassphraseRequired(KeychainError),
    #[error("an empty passphrase locks nothing. Choose another.")]
    EmptyPassphrase,
    #[error(transparent)]
    Keychain(KeychainError),
    #[error(
        "the keychain has no key for this wallet, so its file alone does not open it. \
         This happens when the file was copied from another computer or login. Import your words instead."
    )]
    KeychainEntryGone,
    #[error("the keychain's key does not fit this wallet. Import your words into a new folder.")]
    KeychainMismatch,
    #[error(
        "the wallet file {} is damaged. {}Or import your words into a new folder.", path.display(),
        if *backup { "An older copy is beside it, with the ending .bak: put it in its place. " } else { "" }
    )]
    Damaged { path: PathBuf, backup: bool },
    #[error("this wallet was written by a newer version of this program (format {0}). Update, then try again.")]
    Newer(u32),
    #[error("cannot read or write the wallet in {}: {source}. Nothing was changed.", folder.display())]
    Io { folder: PathBuf, source: io::Error },
}

impl VaultError {
    /// A stable word, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Absent(_) => "wallet_absent",
            Self::Exists(_) => "wallet_exists",
            Self::Busy(_) => "wallet_busy",
            Self::WrongPassphrase => "wallet_wrong_passphrase",
            Self::PassphraseNeeded => "wallet_passphrase_needed",
            Self::PassphraseRequired(_) => "wallet_passphrase_required",
            Self::EmptyPassphrase => "wallet_passphrase_empty",
            Self::Keychain(error) => error.code(),
            Self::KeychainEntryGone => "keychain_no_entry",
            Self::KeychainMismatch => "keychain_mismatch",
            Self::Damaged { .. } => "wallet_damaged",
            Self::Newer(_) => "wallet_newer",
            Self::Io { .. } => "wallet_io",
        }
    }
}

impl Vault {
    /// The vault in `folder`, with this system's keychain.
    #[must_use]
    pub fn at(folder: &Path) -> Self {
        Self::with_keychain(folder, Arc::new(SystemKeychain::default()))
    }

    /// The vault in `folder`, with the keychain given ([`NoKeychain`]: a passphrase alone).
    #[must_use]
    pub fn with_keychain(folder: &Path, keychain: Arc<dyn Keychain>) -> Self {
        Self { folder: folder.to_owned(), keychain, cost: Cost::DEFAULT }
    }

    /// The same, with another price for guessing the passphrase of what is sealed from now on.
    #[must_use]
    pub fn with_cost(self, cost: Cost) -> Self {
        Self { cost, ..self }
    }

    /// What is in the folder, without unlocking it; `None` when there is no wallet.
    ///
    /// # Errors
    /// `Damaged`, `Newer` or `Io`.
    pub fn status(&self) -> Result<Option<Status>, VaultError> {
        match self.read() {
            Ok(sealed) => Ok(Some(Status { address: sealed.header.address, mode: sealed.header.mode })),
            Err(VaultError::Absent(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Creates a wallet from new random words. With a keychain it is locked by it, and by the passphrase if one is
    /// given; without one the passphrase is required.
    ///
    /// # Errors
    /// `Exists`, `PassphraseRequired`, or the keychain's error when there is one and it fails: a failing keychain is
    /// never replaced by something weaker.
    pub fn create(&self, passphrase: Option<&SecretString>) -> Result<Wallet, VaultError> {
        self.put(&Words::random(), passphrase)
    }

    /// Creates a wallet from the words given.
    ///
    /// # Errors
    /// As [`Vault::create`].
    pub fn import(&self, words: &Words, passphrase: Option<&SecretString>) -> Result<Wallet, VaultError> {
        self.put(words, passphrase)
    }

    /// Unlocks the wallet. A passphrase that the wallet does not need is ignored.
    ///
    /// # Errors
    /// See [`VaultError`].
    pub fn unlock(&self, passphrase: Option<&SecretString>) -> Result<Wallet, VaultError> {
        self.words(passphrase).map(|words| Wallet::from_key(words.key()))
    }

    /// The words, to be shown to the owner and nobody else.
    ///
    /// # Errors
    /// As [`Vault::unlock`].
    pub fn reveal_words(&self, passphrase: Option<&SecretString>) -> Result<SecretString, VaultError> {
        self.words(passphrase).map(|words| words.phrase())
    }

    /// Locks the wallet anew: with the keychain where there is one, and with `next` if it is given. What it was locked
    /// with before stays valid for the backup copy only.
    ///
    /// # Errors
    /// As [`Vault::unlock`] and [`Vault::create`]; the wallet is unchanged then.
    pub fn relock(&self, passphrase: Option<&SecretString>, next: Option<&SecretString>) -> Result<(), VaultError> {
        let _alone = self.alone()?;
        let words = self.words(passphrase)?;
        self.seal_and_write(&words, next)
    }

    /// Deletes the wallet that the passphrase unlocks, and its keychain entry. Only its words bring it back.
    ///
    /// # Errors
    /// As [`Vault::unlock`].
    pub fn destroy(&self, passphrase: Option<&SecretString>) -> Result<(), VaultError> {
        let _alone = self.alone()?;
        let sealed = self.read()?;
        self.open(&sealed, passphrase)?;
        file::remove(&self.folder).map_err(|source| self.io(source))?;
        if sealed.header.mode.uses_keychain() {
            self.keychain.remove(&entry_name(&sealed.header.id)).map_err(VaultError::Keychain)?;
        }
        Ok(())
    }

    fn put(&self, words: &Words, passphrase: Option<&SecretString>) -> Result<Wallet, VaultError> {
        let _alone = self.alone()?;
        if file::exists(&self.folder) {
            return Err(VaultError::Exists(self.folder.clone()));
        }
        self.seal_and_write(words, passphrase)?;
        Ok(Wallet::from_key(words.key()))
    }

    fn seal_and_write(&self, words: &Words, passphrase: Option<&SecretString>) -> Result<(), VaultError> {
        if passphrase.is_some_and(|text| text.expose_secret().is_empty()) {
            return Err(VaultError::EmptyPassphrase);
        }
        let id = seal::random();
        let os = self.new_keychain_secret(&id, passphrase)?;
        let mode = match (&os, passphrase) {
            (Some(_), None) => Mode::Os,
            (Some(_), Some(_)) => Mode::OsAndPassphrase,
            (None, _) => Mode::Passphrase,
        };
        let header = Header {
            format: FORMAT.into(),
            version: VERSION,
            address: words.key().address(),
            mode,
            id,
            salt: seal::random(),
            cost: self.cost,
        };
        let sealed = seal::seal(header, &Factors { os: os.as_ref(), passphrase }, words.entropy());
        file::write(&self.folder, &sealed).map_err(|source| {
            if mode.uses_keychain() {
                // The file does not exist: its key serves nobody. Should this fail too, an unused entry stays.
                let _ = self.keychain.remove(&entry_name(&id));
            }
            self.io(source)
        })
    }

    /// Stores a new secret and reads it back. `None` where there is no keychain and a passphrase serves instead.
    fn new_keychain_secret(&self, id: &[u8], passphrase: Option<&SecretString>) -> Result<Option<Secret>, VaultError> {
        let (name, secret) = (entry_name(id), Secret::new(seal::random()));
        match self.keychain.set(&name, &secret) {
            Ok(()) => {}
            Err(KeychainError::Absent(_)) if passphrase.is_some() => return Ok(None),
            Err(absent @ KeychainError::Absent(_)) => return Err(VaultError::PassphraseRequired(absent)),
            Err(error) => return Err(VaultError::Keychain(error)),
        }
        let kept = self.keychain.get(&name).map_err(VaultError::Keychain)?;
        if kept == secret {
            Ok(Some(secret))
        } else {
            Err(VaultError::Keychain(KeychainError::Failed("it did not keep what it was given".into())))
        }
    }

    fn words(&self, passphrase: Option<&SecretString>) -> Result<Words, VaultError> {
        self.open(&self.read()?, passphrase)
    }

    fn open(&self, sealed: &Sealed, passphrase: Option<&SecretString>) -> Result<Words, VaultError> {
        let Header { mode, id, address, .. } = &sealed.header;
        if mode.uses_passphrase() && passphrase.is_none() {
            return Err(VaultError::PassphraseNeeded);
        }
        let os = if mode.uses_keychain() { Some(self.keychain_secret(id)?) } else { None };
        let factors = Factors { os: os.as_ref(), passphrase: passphrase.filter(|_| mode.uses_passphrase()) };
        let entropy = seal::open(sealed, &factors).map_err(|error| match error {
            OpenError::WrongKey if mode.uses_passphrase() => VaultError::WrongPassphrase,
            OpenError::WrongKey => VaultError::KeychainMismatch,
            OpenError::Damaged => self.damaged(),
        })?;
        Words::from_entropy(&entropy).filter(|words| words.key().address() == *address).ok_or_else(|| self.damaged())
    }

    fn keychain_secret(&self, id: &[u8]) -> Result<Secret, VaultError> {
        self.keychain.get(&entry_name(id)).map_err(|error| match error {
            KeychainError::NoEntry => VaultError::KeychainEntryGone,
            error => VaultError::Keychain(error),
        })
    }

    fn read(&self) -> Result<Sealed, VaultError> {
        file::read(&self.folder).map_err(|error| match error {
            ReadError::Absent if file::exists(&self.folder) => self.damaged(),
            ReadError::Absent => VaultError::Absent(self.folder.clone()),
            ReadError::Damaged => self.damaged(),
            ReadError::Newer(version) => VaultError::Newer(version),
            ReadError::Io(source) => self.io(source),
        })
    }

    /// Two processes must not both find no wallet and each make one.
    fn alone(&self) -> Result<File, VaultError> {
        let lock = || {
            file::make_private_folder(&self.folder)?;
            File::options().create(true).write(true).truncate(false).open(self.folder.join("vault.lock"))
        };
        let lock = lock().map_err(|source| self.io(source))?;
        match lock.try_lock() {
            Ok(()) => Ok(lock),
            Err(TryLockError::WouldBlock) => Err(VaultError::Busy(self.folder.clone())),
            Err(TryLockError::Error(source)) => Err(self.io(source)),
        }
    }

    fn damaged(&self) -> VaultError {
        VaultError::Damaged { path: file::path(&self.folder), backup: file::backup(&self.folder).exists() }
    }

    fn io(&self, source: io::Error) -> VaultError {
        VaultError::Io { folder: self.folder.clone(), source }
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vault({})", self.folder.display())
    }
}

fn entry_name(id: &[u8]) -> String {
    format!("vault {}", hex::encode(id))
}

#[cfg(test)]
mod tests;
