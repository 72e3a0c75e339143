//! Modules, inputs, data sets and outputs, addressed by their BLAKE3 digest and verified as they arrive.
//!
//! Behind `object_store`, so that a bucket can take the folder's place. Deliberately absent: deletion, names, owners.

use std::ops::Range;
use std::path::{Path, PathBuf};

use axum::body::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::{GetOptions, GetRange, MultipartUpload, ObjectStore, ObjectStoreExt};
use surge_protocol::Digest;
use surge_protocol::api::MAX_BLOB;

use crate::error::{Code, Error, Result, disk_full, is_disk_full};

/// Pieces of an upload are gathered to about so many bytes before they are written.
const PART: usize = 1 << 20;

/// The blobs of one coordinator.
#[derive(Debug)]
pub struct Blobs {
    store: LocalFileSystem,
}

/// A blob on its way out.
pub struct Download {
    /// Size of the whole blob, bytes.
    pub size: u64,
    /// The part that `bytes` holds.
    pub range: Range<u64>,
    pub bytes: BoxStream<'static, std::result::Result<Bytes, object_store::Error>>,
}

impl std::fmt::Debug for Download {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Download").field("size", &self.size).field("range", &self.range).finish_non_exhaustive()
    }
}

impl Blobs {
    /// The blobs in `folder`, which is created. What interrupted uploads left is removed.
    ///
    /// # Errors
    /// When the folder cannot be used.
    pub fn open(folder: &Path) -> std::io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        remove_leftovers(folder)?;
        // Durable before it is acknowledged: a result is only as durable as its output.
        let store = LocalFileSystem::new_with_prefix(folder).map_err(std::io::Error::other)?.with_fsync(true);
        Ok(Self { store })
    }

    /// The size of a blob, or `None` when it is not here.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn size(&self, digest: Digest) -> Result<Option<u64>> {
        match self.store.head(&location(digest)).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(&error)),
        }
    }

    /// Stores what `pieces` bring, if its digest is `digest`; else nothing. Storing it again changes nothing.
    ///
    /// # Errors
    /// `wrong_digest`, `too_large`, `disk_full`, and what `pieces` fails with.
    pub async fn put(&self, digest: Digest, mut pieces: impl Stream<Item = Result<Bytes>> + Unpin) -> Result<u64> {
        if let Some(size) = self.size(digest).await? {
            return verify_only(digest, size, pieces).await;
        }
        let mut upload = self.store.put_multipart(&location(digest)).await.map_err(|error| failed(&error))?;
        let written = write(&mut *upload, digest, &mut pieces).await;
        match written {
            Ok(size) => upload.complete().await.map(|_| size).map_err(|error| failed(&error)),
            Err(error) => {
                if let Err(left) = upload.abort().await {
                    tracing::debug!(%left, "An upload's leftover stays until the next start");
                }
                Err(error)
            }
        }
    }

    /// Streams a blob or a part of it.
    ///
    /// # Errors
    /// `unknown_blob`, `bad_range`.
    pub async fn get(&self, digest: Digest, range: Option<GetRange>) -> Result<Download> {
        let size = self.size(digest).await?.ok_or_else(|| unknown(digest))?;
        if range.as_ref().is_some_and(|range| range.as_range(size).is_err()) {
            return Err(Error::new(Code::BadRange, format!("the range lies outside the blob, which has {size} bytes")));
        }
        let options = GetOptions { range, ..GetOptions::default() };
        let found = self.store.get_opts(&location(digest), options).await.map_err(|error| failed(&error))?;
        Ok(Download { size, range: found.range.clone(), bytes: found.into_stream() })
    }

    /// The first bytes of a blob, at most `limit`.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn start(&self, digest: Digest, limit: u64) -> Result<Bytes> {
        let size = self.size(digest).await?.ok_or_else(|| unknown(digest))?;
        if size == 0 {
            return Ok(Bytes::new());
        }
        let range = GetRange::Bounded(0..limit.min(size));
        let pieces: Vec<_> =
            self.get(digest, Some(range)).await?.bytes.try_collect().await.map_err(|error| failed(&error))?;
        Ok(pieces.concat().into())
    }

    /// Where a blob lies, for a worker of this machine.
    ///
    /// # Errors
    /// When the store fails.
    pub fn path(&self, digest: Digest) -> Result<PathBuf> {
        self.store.path_to_filesystem(&location(digest)).map_err(|error| failed(&error))
    }
}

/// `ab/abcd…`: no folder grows beyond what file systems like.
fn location(digest: Digest) -> object_store::path::Path {
    let name = digest.to_string();
    object_store::path::Path::from_iter([&name[..2], &name])
}

async fn write(
    upload: &mut dyn MultipartUpload,
    digest: Digest,
    pieces: &mut (impl Stream<Item = Result<Bytes>> + Unpin),
) -> Result<u64> {
    let (mut hasher, mut size, mut part) = (blake3::Hasher::new(), 0u64, Vec::new());
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        size = grown(size, &piece)?;
        hasher.update(&piece);
        part.extend_from_slice(&piece);
        if part.len() >= PART {
            upload.put_part(std::mem::take(&mut part).into()).await.map_err(|error| failed(&error))?;
        }
    }
    if !part.is_empty() {
        upload.put_part(part.into()).await.map_err(|error| failed(&error))?;
    }
    expect(digest, &hasher)?;
    Ok(size)
}

/// The blob is here already: the sender is heard out, so that it learns of a mistake and its connection stays good.
async fn verify_only(digest: Digest, size: u64, mut pieces: impl Stream<Item = Result<Bytes>> + Unpin) -> Result<u64> {
    let (mut hasher, mut sent) = (blake3::Hasher::new(), 0);
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        sent = grown(sent, &piece)?;
        hasher.update(&piece);
    }
    expect(digest, &hasher)?;
    Ok(size)
}

fn grown(size: u64, piece: &Bytes) -> Result<u64> {
    let size = size + piece.len() as u64;
    if size <= MAX_BLOB {
        return Ok(size);
    }
    Err(Error::new(Code::TooLarge, format!("a blob has at most {MAX_BLOB} bytes: split it")))
}

fn expect(digest: Digest, hasher: &blake3::Hasher) -> Result<()> {
    let actual = Digest(*hasher.finalize().as_bytes());
    if actual == digest {
        return Ok(());
    }
    let message = format!("the bytes hash to {actual}, not to {digest}: nothing was stored, send the blob again");
    Err(Error::new(Code::WrongDigest, message))
}

fn unknown(digest: Digest) -> Error {
    Error::new(Code::UnknownBlob, format!("there is no blob {digest} here: upload it first"))
}

/// A failure of the blob store as a caller sees it; its detail goes to the log.
pub(crate) fn failed(error: &object_store::Error) -> Error {
    if is_disk_full(error) {
        tracing::error!("The disk that holds the blobs is full");
        return disk_full();
    }
    tracing::error!(%error, "The blob store failed");
    Error::new(Code::StorageFailed, "the coordinator could not use its blob store: try again")
}

/// Removes the staging files (`NAME#N`) of uploads that a crash interrupted.
fn remove_leftovers(folder: &Path) -> std::io::Result<()> {
    for shard in std::fs::read_dir(folder)? {
        let shard = shard?;
        if !shard.file_type()?.is_dir() {
            continue;
        }
        for file in std::fs::read_dir(shard.path())? {
            let path = file?.path();
            if path.file_name().is_some_and(|name| name.to_string_lossy().contains('#')) {
                std::fs::remove_file(path)?;
            }
        }
    }
    Ok(())
}
