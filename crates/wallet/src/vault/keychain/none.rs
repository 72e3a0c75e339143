//! Systems whose keychain this program does not speak to yet: a passphrase locks the wallet.

use super::KeychainError;

fn absent<T>() -> Result<T, KeychainError> {
    Err(KeychainError::Absent("this version does not use this system's keychain".into()))
}

pub(super) fn get(_name: &str) -> Result<String, KeychainError> {
    absent()
}

pub(super) fn set(_name: &str, _secret: &str) -> Result<(), KeychainError> {
    absent()
}

pub(super) fn remove(_name: &str) -> Result<(), KeychainError> {
    absent()
}
