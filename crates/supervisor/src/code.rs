//! Compiled code on disk, so that the second task of a module starts at once.
//!
//! Deliberately absent: code from elsewhere. All code here was sent by a locked-down worker on this machine before the
//! program that it belongs to ran. It is used only with a MAC by this folder's key: whoever can't read the key can't put
//! machine code here. Workers can neither read nor write the folder.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use surge_protocol::Digest;
use surge_protocol::frame::MAX_COMPILED;
use surge_protocol::task::Meter;

/// The most bytes that the folder may hold. Beyond that, the code that was used longest ago is removed.
const MOST: u64 = 1 << 30;
const MAC: usize = blake3::OUT_LEN;
const KEY: &str = "key";
/// A file that is being written changes at least this often; one that does not was left by a crash.
const CRASHED: Duration = Duration::from_secs(3_600);

/// A folder of compiled code with its key.
#[derive(Debug)]
pub struct CodeCache {
    folder: PathBuf,
    key: Key,
}

/// Not part of any debug output.
struct Key([u8; 32]);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

/// Names compiled code by all that it depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CodeName(String);

impl CodeName {
    pub(crate) fn new(module: &Digest, runtime_class: &str, meter: Meter) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("surge 2026-11 compiled code name v1");
        let metered = matches!(meter, Meter::Fuel { .. });
        hasher.update(&module.0).update(&[u8::from(metered)]).update(runtime_class.as_bytes());
        Self(hasher.finalize().to_hex().to_string())
    }
}

impl CodeCache {
    /// Opens the folder, and makes it with a new key where there is none.
    ///
    /// # Errors
    /// When the folder or its key can't be made or read.
    pub fn open(folder: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        Ok(Self { folder: folder.to_owned(), key: key(&folder.join(KEY))? })
    }

    /// The code of this name, if it is there and nobody has touched it.
    pub(crate) fn load(&self, name: &CodeName) -> Option<Vec<u8>> {
        let path = self.path(name);
        let mut file = File::open(&path).ok()?;
        let mut mac = [0; MAC];
        file.read_exact(&mut mac).ok()?;
        let mut code = Vec::new();
        (&file).take(MAX_COMPILED + 1).read_to_end(&mut code).ok()?;
        if self.mac(name, &code) != mac {
            tracing::warn!(name = %name.0, "compiled code was damaged or changed: it is compiled anew");
            self.forget(name);
            return None;
        }
        // Marks it as used just now. Where that fails, it is only removed earlier.
        let _ = file.set_modified(SystemTime::now());
        Some(code)
    }

    /// Keeps code; where that fails, it will be compiled again.
    pub(crate) fn store(&self, name: &CodeName, code: &[u8]) {
        let written = self.make_room(code.len() as u64).and_then(|()| {
            let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
            file.write_all(self.mac(name, code).as_bytes())?;
            file.write_all(code)?;
            file.persist(self.path(name))?;
            Ok(())
        });
        if let Err(error) = written {
            tracing::warn!(%error, "compiled code could not be kept");
        }
    }

    pub(crate) fn forget(&self, name: &CodeName) {
        // Already removed is as good.
        let _ = fs::remove_file(self.path(name));
    }

    fn mac(&self, name: &CodeName, code: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key.0);
        hasher.update(name.0.as_bytes()).update(code);
        hasher.finalize()
    }

    fn path(&self, name: &CodeName) -> PathBuf {
        self.folder.join(&name.0).with_extension("code")
    }

    fn make_room(&self, bytes: u64) -> io::Result<()> {
        let mut kept: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let (metadata, path) = (entry.metadata()?, entry.path());
            let modified = metadata.modified()?;
            match path.extension() {
                Some(extension) if extension == "code" => kept.push((modified, metadata.len(), path)),
                None if path.file_name() == Some(KEY.as_ref()) => {}
                // Nobody writes it any more: a crash left it.
                _ if modified.elapsed().is_ok_and(|age| age > CRASHED) => fs::remove_file(path)?,
                _ => {}
            }
        }
        kept.sort();
        let mut total = bytes + kept.iter().map(|(_, size, _)| size).sum::<u64>();
        for (_, size, path) in kept {
            if total <= MOST {
                break;
            }
            fs::remove_file(path)?;
            total -= size;
        }
        Ok(())
    }
}

/// Reads the key at `path`, or makes one.
fn key(path: &Path) -> io::Result<Key> {
    let fresh = || -> io::Result<()> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
        let mut file = tempfile::Builder::new()
            .make_in(folder, |path| OpenOptions::new().write(true).create_new(true).mode(0o600).open(path))?;
        file.write_all(&bytes)?;
        file.as_file().sync_all()?;
        match file.persist_noclobber(path) {
            // Another process was first: its key is the folder's.
            Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => Err(error.error),
            _ => Ok(()),
        }
    };
    let read = || <[u8; 32]>::try_from(fs::read(path)?).map_err(|_| io::Error::from(io::ErrorKind::InvalidData));
    match read() {
        Ok(key) => return Ok(Key(key)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        // Not 32 bytes: the code under the old key can't be used any more.
        Err(error) if error.kind() == io::ErrorKind::InvalidData => fs::remove_file(path)?,
        Err(error) => return Err(error),
    }
    fresh()?;
    read().map(Key)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn name(n: u8) -> CodeName {
        CodeName::new(&Digest([n; 32]), "class", Meter::None)
    }

    #[test]
    fn what_is_kept_is_found_by_all_that_it_depends_on() {
        let folder = tempfile::tempdir().unwrap();
        let cache = CodeCache::open(&folder.path().join("code")).unwrap();
        cache.store(&name(1), b"machine code");
        let again = CodeCache::open(&folder.path().join("code")).unwrap();
        assert_eq!(again.load(&name(1)).as_deref(), Some(&b"machine code"[..]));
        let others = [
            name(2),
            CodeName::new(&Digest([1; 32]), "another", Meter::None),
            CodeName::new(&Digest([1; 32]), "class", Meter::Fuel { budget: 1 }),
        ];
        assert!(others.iter().all(|other| again.load(other).is_none()));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&cache.folder), mode(&cache.folder.join(KEY))), (0o700, 0o600));
    }

    #[test]
    fn code_that_was_changed_renamed_or_brought_along_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let cache = CodeCache::open(folder.path()).unwrap();
        let kept = |n| {
            cache.store(&name(n), b"machine code");
            (cache.path(&name(n)), fs::read(cache.path(&name(n))).unwrap())
        };
        let (path, mut bytes) = kept(1);
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert!(cache.load(&name(1)).is_none());
        assert!(!path.exists(), "it is not looked at again");

        let (path, bytes) = kept(2);
        fs::write(cache.path(&name(3)), &bytes).unwrap();
        assert!(cache.load(&name(3)).is_none(), "code of one module under the name of another");
        fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert!(cache.load(&name(2)).is_none());
        fs::write(&path, b"short").unwrap();
        assert!(cache.load(&name(2)).is_none());

        kept(4);
        fs::write(folder.path().join("key"), [7; 32]).unwrap();
        let other_key = CodeCache::open(folder.path()).unwrap();
        assert!(other_key.load(&name(4)).is_none(), "code from another installation");
    }

    #[test]
    fn what_a_crash_left_half_written_is_removed_in_time() {
        let folder = tempfile::tempdir().unwrap();
        let cache = CodeCache::open(folder.path()).unwrap();
        let begun = |name: &str, ago| {
            let file = File::create(folder.path().join(name)).unwrap();
            file.set_modified(SystemTime::now() - ago).unwrap();
        };
        begun(".tmpAbC123", 2 * CRASHED);
        begun(".tmpDeF456", Duration::ZERO);
        File::open(folder.path().join(KEY)).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        cache.store(&name(1), b"machine code");
        let left = || fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        assert_eq!(
            left().filter(|name| name.to_string_lossy().starts_with(".tmp")).collect::<Vec<_>>(),
            [".tmpDeF456"]
        );
        assert!(cache.load(&name(1)).is_some() && left().any(|name| name == KEY));
    }

    #[test]
    fn a_broken_key_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("key"), b"half").unwrap();
        let cache = CodeCache::open(folder.path()).unwrap();
        cache.store(&name(1), b"x");
        assert!(CodeCache::open(folder.path()).unwrap().load(&name(1)).is_some());
    }
}
