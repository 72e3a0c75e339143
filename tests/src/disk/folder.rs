//! The folder behind the file system, with the numbers that the kernel knows its files by and the files that are open.

use std::collections::HashMap;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use fuser::{FileAttr, FileHandle, FileType, INodeNo, TimeOrNow};

/// What is behind the file system. Paths are relative to its root.
pub(super) struct Folder {
    pub(super) root: PathBuf,
    names: Mutex<Names>,
    open: Mutex<Open>,
}

/// The numbers that the kernel knows files by.
#[derive(Default)]
pub(super) struct Names {
    paths: HashMap<u64, PathBuf>,
    numbers: HashMap<PathBuf, u64>,
}

impl Names {
    /// The root is the empty path.
    pub(super) fn path(&self, node: INodeNo) -> PathBuf {
        self.paths.get(&node.0).cloned().unwrap_or_default()
    }

    fn number(&mut self, path: &Path) -> INodeNo {
        if path.as_os_str().is_empty() {
            return INodeNo::ROOT;
        }
        let next = self.paths.len() as u64 + 2;
        let number = *self.numbers.entry(path.to_owned()).or_insert(next);
        self.paths.insert(number, path.to_owned());
        INodeNo(number)
    }

    /// What comes to be under this name again is another file.
    pub(super) fn forget(&mut self, path: &Path) {
        self.numbers.remove(path);
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) {
        self.forget(to);
        for (number, path) in &mut self.paths {
            let Ok(rest) = path.strip_prefix(from).map(Path::to_owned) else { continue };
            if self.numbers.get(path) != Some(number) {
                continue;
            }
            self.numbers.remove(path);
            *path = if rest.as_os_str().is_empty() { to.to_owned() } else { to.join(rest) };
            self.numbers.insert(path.clone(), *number);
        }
    }
}

#[derive(Default)]
pub(super) struct Open {
    pub(super) files: HashMap<u64, Arc<File>>,
    next: u64,
}

impl Folder {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), names: Mutex::default(), open: Mutex::default() }
    }

    pub(super) fn names(&self) -> MutexGuard<'_, Names> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn real(&self, path: &Path) -> PathBuf {
        self.root.join(path)
    }

    pub(super) fn attributes(&self, path: &Path) -> io::Result<FileAttr> {
        let about = fs::symlink_metadata(self.real(path))?;
        Ok(attributes(self.names().number(path), &about))
    }

    pub(super) fn keep(&self, file: File) -> FileHandle {
        let mut open = self.open();
        open.next += 1;
        let number = open.next;
        open.files.insert(number, Arc::new(file));
        FileHandle(number)
    }

    pub(super) fn file(&self, handle: FileHandle) -> io::Result<Arc<File>> {
        self.open().files.get(&handle.0).cloned().ok_or_else(|| rustix::io::Errno::BADF.into())
    }
}

pub(super) fn attributes(number: INodeNo, about: &Metadata) -> FileAttr {
    let time = |seconds: i64, nanos: i64| {
        let since = Duration::new(seconds.unsigned_abs(), u32::try_from(nanos).unwrap_or(0));
        SystemTime::UNIX_EPOCH + since
    };
    FileAttr {
        ino: number,
        size: about.size(),
        blocks: about.blocks(),
        atime: time(about.atime(), about.atime_nsec()),
        mtime: time(about.mtime(), about.mtime_nsec()),
        ctime: time(about.ctime(), about.ctime_nsec()),
        crtime: SystemTime::UNIX_EPOCH,
        kind: FileType::from_std(about.file_type()).unwrap_or(FileType::RegularFile),
        perm: (about.mode() & 0o7777) as u16,
        nlink: u32::try_from(about.nlink()).unwrap_or(u32::MAX),
        uid: about.uid(),
        gid: about.gid(),
        rdev: 0,
        blksize: 4096,
        flags: 0,
    }
}

/// What `setattr` changes.
pub(super) struct Change {
    pub(super) mode: Option<u32>,
    pub(super) owner: (Option<u32>, Option<u32>),
    pub(super) size: Option<u64>,
    pub(super) times: (Option<TimeOrNow>, Option<TimeOrNow>),
}

impl Change {
    pub(super) fn apply(self, path: &Path, file: Option<Arc<File>>) -> io::Result<()> {
        if let Some(mode) = self.mode {
            fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o7777))?;
        }
        if self.owner != (None, None) {
            std::os::unix::fs::lchown(path, self.owner.0, self.owner.1)?;
        }
        if let Some(size) = self.size {
            match &file {
                Some(file) => file.set_len(size)?,
                None => OpenOptions::new().write(true).open(path)?.set_len(size)?,
            }
        }
        let when = |time| match time {
            TimeOrNow::SpecificTime(time) => time,
            TimeOrNow::Now => SystemTime::now(),
        };
        if let (None, None) = self.times {
            return Ok(());
        }
        let mut times = fs::FileTimes::new();
        if let Some(accessed) = self.times.0 {
            times = times.set_accessed(when(accessed));
        }
        if let Some(modified) = self.times.1 {
            times = times.set_modified(when(modified));
        }
        File::open(path)?.set_times(times)
    }
}
