//! What a task had in `/state` when it last synced, on disk in two generations, so that a crash at any moment leaves one.
//!
//! Deliberately absent: what the image means. It comes from a worker and goes back to one, whole or not at all.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use surge_protocol::Digest;

const MAGIC: &[u8; 8] = b"SURGE-C1";
const HASH: usize = blake3::OUT_LEN;
/// Magic, task and generation come before the image, the hash of all of it after.
const HEADER: usize = MAGIC.len() + HASH + 8;

/// Where the checkpoints of one task are kept, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoints {
    /// Created with the first checkpoint.
    pub folder: PathBuf,
    /// Names the task by all that its result depends on: another task never goes on from this one's files.
    pub task: Digest,
    /// The least CPU time between two checkpoints. Usually 10 seconds.
    pub every: Duration,
}

/// The checkpoints of one task for one runtime class.
#[derive(Debug)]
pub(crate) struct Generations {
    folder: PathBuf,
    task: Digest,
    /// The generation of the next image.
    next: u64,
}

impl Generations {
    /// Finds the newest image that is whole and belongs to this task and `runtime_class`.
    pub(crate) fn open(kept: &Checkpoints, runtime_class: &str) -> (Self, Option<Vec<u8>>) {
        let mut hasher = blake3::Hasher::new_derive_key("surge 2026-11 checkpoint of a task v1");
        hasher.update(&kept.task.0).update(runtime_class.as_bytes());
        let mut found = Self { folder: kept.folder.clone(), task: Digest(*hasher.finalize().as_bytes()), next: 0 };
        let newest = [0, 1].into_iter().filter_map(|n| found.read(n)).max_by_key(|(generation, _)| *generation);
        found.next = newest.as_ref().map_or(0, |(generation, _)| generation.wrapping_add(1));
        (found, newest.map(|(_, image)| image))
    }

    /// Keeps an image in place of the older of the two.
    ///
    /// # Errors
    /// When it can't be written. The newer of the two is still there then.
    pub(crate) fn store(&mut self, image: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let unfinished = self.unfinished();
        if let Err(error) = self.write(image, &unfinished) {
            // The disk may be full; this gives its space back.
            let _ = fs::remove_file(unfinished);
            return Err(error);
        }
        fs::rename(unfinished, self.path(self.next))?;
        // A file's name is durable only when its folder is synced.
        File::open(&self.folder)?.sync_all()?;
        // A damaged file may hold the largest number there is: that is no reason to stop.
        self.next = self.next.wrapping_add(1);
        Ok(())
    }

    fn write(&self, image: &[u8], path: &Path) -> io::Result<()> {
        let mut file = File::create(path)?;
        for part in pack(&self.task, self.next, image) {
            file.write_all(&part)?;
        }
        file.sync_all()
    }

    /// Removes both images, and one that a crash left half written.
    pub(crate) fn forget(&self) {
        for path in [self.path(0), self.path(1), self.unfinished()] {
            // Already removed is as good.
            let _ = fs::remove_file(path);
        }
    }

    fn read(&self, n: u64) -> Option<(u64, Vec<u8>)> {
        let path = self.path(n);
        match read(&path, &self.task) {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "a checkpoint can't be used");
                None
            }
        }
    }

    /// Where an image is written before it counts. One name, so that crashes leave one file at most: a task is run by one
    /// supervisor at a time.
    fn unfinished(&self) -> PathBuf {
        self.folder.join(format!("{}.new", self.task))
    }

    fn path(&self, generation: u64) -> PathBuf {
        self.folder.join(format!("{}.{}", self.task, generation % 2))
    }
}

/// Generation and image in the file at `path`; `None` where there is no file.
fn read(path: &Path, task: &Digest) -> io::Result<Option<(u64, Vec<u8>)>> {
    match fs::read(path) {
        Ok(bytes) => unpack(bytes, task).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The parts of a checkpoint's file.
pub(crate) fn pack<'a>(task: &Digest, generation: u64, image: &'a [u8]) -> [Cow<'a, [u8]>; 3] {
    let header = [&MAGIC[..], &task.0, &generation.to_le_bytes()].concat();
    let hash = blake3::Hasher::new().update(&header).update(image).finalize();
    [Cow::Owned(header), Cow::Borrowed(image), Cow::Owned(hash.as_bytes().to_vec())]
}

/// Generation and image of `task` from a file's bytes.
///
/// # Errors
/// What is wrong with them.
pub(crate) fn unpack(mut bytes: Vec<u8>, task: &Digest) -> io::Result<(u64, Vec<u8>)> {
    let broken = |what| io::Error::new(io::ErrorKind::InvalidData, what);
    let end = bytes.len().checked_sub(HASH).filter(|&end| end >= HEADER).ok_or_else(|| broken("it is cut short"))?;
    if !bytes.starts_with(MAGIC) {
        return Err(broken("it is of another version"));
    }
    if blake3::hash(&bytes[..end]).as_bytes() != &bytes[end..] {
        return Err(broken("it is damaged"));
    }
    if bytes[MAGIC.len()..][..HASH] != task.0 {
        return Err(broken("it belongs to another task"));
    }
    let generation = bytes[MAGIC.len() + HASH..HEADER].try_into().map(u64::from_le_bytes).expect("eight bytes");
    bytes.truncate(end);
    bytes.drain(..HEADER);
    Ok((generation, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(folder: &Path, task: u8) -> Checkpoints {
        Checkpoints { folder: folder.join("checkpoints"), task: Digest([task; 32]), every: Duration::ZERO }
    }

    fn image(of: &Checkpoints) -> Option<Vec<u8>> {
        Generations::open(of, "class").1
    }

    #[test]
    fn the_newest_whole_image_counts() {
        let folder = tempfile::tempdir().unwrap();
        let task = kept(folder.path(), 1);
        assert_eq!(image(&task), None);
        for n in 0..5_u8 {
            let (mut generations, before) = Generations::open(&task, "class");
            assert_eq!(before, n.checked_sub(1).map(|n| vec![n]));
            generations.store(&[n]).unwrap();
        }
        let (generations, _) = Generations::open(&task, "class");
        let newest = generations.path(generations.next - 1);
        let whole = fs::read(&newest).unwrap();
        for broken in [&whole[..whole.len() - 1], &whole[..10], b"", &[&b"SURGE-C0"[..], &whole[8..]].concat()] {
            fs::write(&newest, broken).unwrap();
            assert_eq!(image(&task), Some(vec![3]), "the older one is there");
        }
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 4;
            fs::write(&newest, flipped).unwrap();
            assert_eq!(image(&task), Some(vec![3]), "a flipped bit in byte {at}");
        }
        fs::write(&newest, whole).unwrap();
        assert_eq!(image(&task), Some(vec![4]));
        generations.forget();
        assert_eq!(image(&task), None);
    }

    #[test]
    fn what_a_crash_left_half_written_is_written_over_and_goes_with_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        let task = kept(folder.path(), 1);
        let (mut generations, _) = Generations::open(&task, "class");
        generations.store(b"image").unwrap();
        let files = || fs::read_dir(&task.folder).unwrap().count();
        fs::write(generations.unfinished(), b"half of an image that was longer").unwrap();
        assert_eq!(image(&task), Some(b"image".to_vec()));
        generations.store(b"next").unwrap();
        assert_eq!((image(&task), files()), (Some(b"next".to_vec()), 2));
        fs::write(generations.unfinished(), b"half").unwrap();
        generations.forget();
        assert_eq!(files(), 0);
    }

    #[test]
    fn another_task_or_class_begins_at_its_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let (mine, other) = (kept(folder.path(), 1), kept(folder.path(), 2));
        let (mut generations, _) = Generations::open(&mine, "class");
        generations.store(b"mine").unwrap();
        assert_eq!(image(&other), None);
        assert_eq!(Generations::open(&mine, "another class").1, None);
        let (theirs, _) = Generations::open(&other, "class");
        fs::copy(generations.path(0), theirs.path(0)).unwrap();
        assert_eq!(image(&other), None, "a file that was put under the name of another task");
    }

    #[test]
    fn a_disk_that_refuses_leaves_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let task = kept(folder.path(), 1);
        fs::write(&task.folder, b"a file where the folder should be").unwrap();
        let (mut generations, _) = Generations::open(&task, "class");
        assert!(generations.store(b"image").is_err());
        assert_eq!(generations.next, 0);
    }
}
