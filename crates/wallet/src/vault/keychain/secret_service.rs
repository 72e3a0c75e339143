//! The Secret Service of a Linux desktop (GNOME Keyring, KWallet, KeePassXC), over D-Bus.
//!
//! Each call opens its own connection: a service that was absent at the first call may be there at the next.

use std::collections::HashMap;

use keyring_core::api::CredentialStoreApi;
use keyring_core::{Entry, Error};
use secret_service::Error as ServiceError;
use zbus_secret_service_keyring_store::Store;

use super::KeychainError;

const SERVICE: &str = "surge-wallet";

pub(super) fn get(name: &str) -> Result<String, KeychainError> {
    entry(name)?.get_password().map_err(explain)
}

pub(super) fn set(name: &str, secret: &str) -> Result<(), KeychainError> {
    entry(name)?.set_password(secret).map_err(explain)
}

pub(super) fn remove(name: &str) -> Result<(), KeychainError> {
    entry(name)?.delete_credential().map_err(explain)
}

fn entry(name: &str) -> Result<Entry, KeychainError> {
    let store = Store::new().map_err(|error| KeychainError::Absent(reason(&error)))?;
    store.build(SERVICE, name, Some(&HashMap::from([("label", "Surge wallet")]))).map_err(explain)
}

/// The store reports "there is no default collection" as it reports "it is locked"; only the error below tells them apart.
fn explain(error: Error) -> KeychainError {
    let below = match &error {
        Error::NoStorageAccess(below) | Error::PlatformFailure(below) => below.downcast_ref::<ServiceError>(),
        _ => None,
    };
    match (&error, below) {
        (Error::NoEntry, _) => KeychainError::NoEntry,
        (_, Some(ServiceError::NoResult)) => KeychainError::Absent("it has no default keyring".into()),
        (_, Some(ServiceError::Unavailable)) => KeychainError::Absent(reason(&error)),
        (Error::NoStorageAccess(_), _) | (_, Some(ServiceError::Locked | ServiceError::Prompt)) => {
            KeychainError::Locked
        }
        (Error::Ambiguous(entries), _) => {
            KeychainError::Failed(format!("it holds {} entries for this wallet, where one is expected", entries.len()))
        }
        // The contents of a badly formed entry are part of some messages: name the kind only.
        (Error::BadEncoding(_) | Error::BadDataFormat(..), _) => KeychainError::Failed("its entry is malformed".into()),
        _ => KeychainError::Failed(reason(&error)),
    }
}

fn reason(error: &Error) -> String {
    error.to_string()
}
