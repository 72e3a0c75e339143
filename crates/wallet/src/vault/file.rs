//! The vault's file: written whole or not at all, readable by its owner alone, with the one before it beside it.
//!
//! It knows nothing of keys. A digest over the contents tells damage from a wrong passphrase; it is no protection against
//! somebody who writes the file on purpose, the seals inside are.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::hexed;
use super::seal::{FORMAT, Sealed, VERSION};

const NAME: &str = "vault.json";
const BACKUP: &str = "vault.json.bak";
const PARTIAL: &str = "vault.json.tmp";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    vault: Sealed,
    #[serde(with = "hexed")]
    digest: [u8; 32],
}

#[derive(Debug)]
pub(crate) enum ReadError {
    Absent,
    /// Not what was written.
    Damaged,
    /// Made by a later version of this program.
    Newer(u32),
    Io(io::Error),
}

pub(crate) fn path(folder: &Path) -> PathBuf {
    folder.join(NAME)
}

pub(crate) fn backup(folder: &Path) -> PathBuf {
    folder.join(BACKUP)
}

/// Whether a vault or what is left of one is in `folder`. A file that can't be looked at counts as one.
pub(crate) fn exists(folder: &Path) -> bool {
    [path(folder), backup(folder)].iter().any(|path| path.try_exists().unwrap_or(true))
}

pub(crate) fn read(folder: &Path) -> Result<Sealed, ReadError> {
    let text = fs::read(path(folder)).map_err(|error| match error.kind() {
        ErrorKind::NotFound => ReadError::Absent,
        _ => ReadError::Io(error),
    })?;
    parse(&text)
}

/// A later version may have any contents below the two fields that every version has.
fn parse(text: &[u8]) -> Result<Sealed, ReadError> {
    let loose: serde_json::Value = serde_json::from_slice(text).map_err(|_| ReadError::Damaged)?;
    let header = &loose["vault"]["header"];
    match (header["format"].as_str(), header["version"].as_u64().and_then(|version| u32::try_from(version).ok())) {
        (Some(FORMAT), Some(VERSION)) => {}
        (Some(FORMAT), Some(version)) if version > VERSION => return Err(ReadError::Newer(version)),
        _ => return Err(ReadError::Damaged),
    }
    let contents: Contents = serde_json::from_slice(text).map_err(|_| ReadError::Damaged)?;
    if digest(&contents.vault) == contents.digest { Ok(contents.vault) } else { Err(ReadError::Damaged) }
}

fn digest(vault: &Sealed) -> [u8; 32] {
    *blake3::hash(&serde_json::to_vec(vault).expect("a vault has string keys only")).as_bytes()
}

/// Replaces the vault. The one before it becomes the backup; at no instant is there no whole vault.
pub(crate) fn write(folder: &Path, vault: &Sealed) -> io::Result<()> {
    let contents = Contents { vault: vault.clone(), digest: digest(vault) };
    let text = serde_json::to_vec_pretty(&contents).expect("a vault has string keys only");
    make_private_folder(folder)?;
    let partial = folder.join(PARTIAL);
    let _ = fs::remove_file(&partial);
    let mut file = private(&partial)?;
    file.write_all(&text)?;
    file.sync_all()?;
    drop(file);
    if path(folder).exists() {
        keep_backup(folder)?;
    }
    fs::rename(&partial, path(folder))?;
    sync_folder(folder)
}

/// A second name for the file that is about to be replaced, made without a moment in which it has none.
fn keep_backup(folder: &Path) -> io::Result<()> {
    let next = folder.join("vault.json.bak.tmp");
    let _ = fs::remove_file(&next);
    fs::hard_link(path(folder), &next).or_else(|_| fs::copy(path(folder), &next).map(drop))?;
    fs::rename(next, backup(folder))
}

/// Removes the vault and its backup, the backup first: what is left of an interrupted removal still opens.
pub(crate) fn remove(folder: &Path) -> io::Result<()> {
    for path in [backup(folder), path(folder)] {
        match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    sync_folder(folder)
}

#[cfg(unix)]
pub(crate) fn make_private_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
pub(crate) fn make_private_folder(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)
}

#[cfg(unix)]
fn private(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Other systems make the rename durable themselves and open no folder as a file.
#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}
