//! The file system's operations, passed on to a folder once the gate lets them through.
//!
//! Deliberately absent: extended attributes, devices, and locks of its own, which the kernel keeps.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

use fuser::{
    BsdFileFlags, Errno, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner, OpenAccMode,
    OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen,
    ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use rustix::fs::{CWD, Mode, mknodat, statvfs};

use super::folder::{Change, Folder, attributes};
use super::gate::{Gate, Work};

/// Nothing is remembered, so that each question comes here.
const NO_TIME: Duration = Duration::ZERO;
const GENERATION: Generation = Generation(0);

pub(super) struct Files {
    gate: Arc<Gate>,
    folder: Arc<Folder>,
}

impl Files {
    pub(super) fn new(root: &Path, gate: Arc<Gate>) -> Self {
        Self { gate, folder: Arc::new(Folder::new(root)) }
    }

    /// Does something when the gate lets it through; meanwhile others are served.
    fn when(&self, work: Work, path: PathBuf, act: impl FnOnce(&Folder, &Path) + Send + 'static) {
        let (gate, folder) = (Arc::clone(&self.gate), Arc::clone(&self.folder));
        if gate.is_open(work, &path) {
            return act(&folder, &path);
        }
        thread::spawn(move || {
            gate.pass(work, &path);
            act(&folder, &path);
        });
    }

    fn path(&self, node: INodeNo) -> PathBuf {
        self.folder.names().path(node)
    }

    fn child(&self, parent: INodeNo, name: &OsStr) -> PathBuf {
        self.path(parent).join(name)
    }
}

/// Answers with a name, once it is there.
fn named(folder: &Folder, path: &Path, made: io::Result<()>, reply: ReplyEntry) {
    match made.and_then(|()| folder.attributes(path)) {
        Ok(about) => reply.entry(&NO_TIME, &about, GENERATION),
        Err(error) => reply.error(error.into()),
    }
}

fn done(result: io::Result<()>, reply: ReplyEmpty) {
    match result {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error.into()),
    }
}

impl Filesystem for Files {
    fn lookup(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        self.when(Work::Name, self.child(parent, name), |folder, path| named(folder, path, Ok(()), reply));
    }

    fn getattr(&self, _req: &Request, ino: INodeNo, fh: Option<FileHandle>, reply: ReplyAttr) {
        self.when(Work::Look, self.path(ino), move |folder, path| {
            // An open file may have lost its name.
            let open = fh.and_then(|handle| folder.file(handle).ok());
            let about = match open {
                Some(file) => file.metadata().map(|about| attributes(ino, &about)),
                None => folder.attributes(path),
            };
            match about {
                Ok(about) => reply.attr(&NO_TIME, &about),
                Err(error) => reply.error(error.into()),
            }
        });
    }

    fn setattr(
        &self,
        _req: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        fh: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let change = Change { mode, owner: (uid, gid), size, times: (atime, mtime) };
        self.when(Work::Write, self.path(ino), move |folder, path| {
            let file = fh.and_then(|handle| folder.file(handle).ok());
            let changed = change.apply(&folder.real(path), file);
            match changed.and_then(|()| folder.attributes(path)) {
                Ok(about) => reply.attr(&NO_TIME, &about),
                Err(error) => reply.error(error.into()),
            }
        });
    }

    fn readlink(&self, _req: &Request, ino: INodeNo, reply: ReplyData) {
        self.when(Work::Look, self.path(ino), |folder, path| match fs::read_link(folder.real(path)) {
            Ok(target) => reply.data(target.as_os_str().as_encoded_bytes()),
            Err(error) => reply.error(error.into()),
        });
    }

    fn mknod(
        &self,
        _req: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _rdev: u32,
        reply: ReplyEntry,
    ) {
        self.when(Work::Write, self.child(parent, name), move |folder, path| {
            let kind = rustix::fs::FileType::from_raw_mode(mode);
            let made = mknodat(CWD, folder.real(path), kind, Mode::from_raw_mode(mode & !umask & 0o7777), 0);
            named(folder, path, made.map_err(Into::into), reply);
        });
    }

    fn mkdir(&self, _req: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, reply: ReplyEntry) {
        self.when(Work::Write, self.child(parent, name), move |folder, path| {
            let made = fs::DirBuilder::new().mode(mode & !umask & 0o7777).create(folder.real(path));
            named(folder, path, made, reply);
        });
    }

    fn unlink(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.when(Work::Write, self.child(parent, name), |folder, path| {
            let removed = fs::remove_file(folder.real(path));
            folder.names().forget(path);
            done(removed, reply);
        });
    }

    fn rmdir(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.when(Work::Write, self.child(parent, name), |folder, path| {
            let removed = fs::remove_dir(folder.real(path));
            if removed.is_ok() {
                folder.names().forget(path);
            }
            done(removed, reply);
        });
    }

    fn symlink(&self, _req: &Request, parent: INodeNo, link_name: &OsStr, target: &Path, reply: ReplyEntry) {
        let target = target.to_owned();
        self.when(Work::Write, self.child(parent, link_name), move |folder, path| {
            named(folder, path, std::os::unix::fs::symlink(target, folder.real(path)), reply);
        });
    }

    fn rename(
        &self,
        _req: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        if !flags.is_empty() {
            return reply.error(Errno::EINVAL);
        }
        let to = self.child(newparent, newname);
        self.when(Work::Write, self.child(parent, name), move |folder, from| {
            let renamed = fs::rename(folder.real(from), folder.real(&to));
            if renamed.is_ok() {
                folder.names().rename(from, &to);
            }
            done(renamed, reply);
        });
    }

    fn link(&self, _req: &Request, ino: INodeNo, newparent: INodeNo, newname: &OsStr, reply: ReplyEntry) {
        let to = self.child(newparent, newname);
        self.when(Work::Write, self.path(ino), move |folder, from| {
            let linked = fs::hard_link(folder.real(from), folder.real(&to));
            named(folder, &to, linked, reply);
        });
    }

    fn open(&self, _req: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        self.when(Work::Look, self.path(ino), move |folder, path| {
            // The kernel reads for who only writes.
            let write = flags.acc_mode() != OpenAccMode::O_RDONLY;
            match OpenOptions::new().read(true).write(write).open(folder.real(path)) {
                Ok(file) => reply.opened(folder.keep(file), FopenFlags::empty()),
                Err(error) => reply.error(error.into()),
            }
        });
    }

    fn create(
        &self,
        _req: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        self.when(Work::Write, self.child(parent, name), move |folder, path| {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create_new(true).mode(mode & !umask & 0o7777);
            let made = options.open(folder.real(path));
            match made.and_then(|file| Ok((folder.attributes(path)?, folder.keep(file)))) {
                Ok((about, handle)) => reply.created(&NO_TIME, &about, GENERATION, handle, FopenFlags::empty()),
                Err(error) => reply.error(error.into()),
            }
        });
    }

    fn read(
        &self,
        _req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        self.when(Work::Look, self.path(ino), move |folder, _| {
            let mut bytes = vec![0; size as usize];
            let mut filled = 0;
            let read = folder.file(fh).and_then(|file| {
                while filled < bytes.len() {
                    match file.read_at(&mut bytes[filled..], offset + filled as u64)? {
                        0 => break,
                        more => filled += more,
                    }
                }
                Ok(())
            });
            match read {
                Ok(()) => reply.data(&bytes[..filled]),
                Err(error) => reply.error(error.into()),
            }
        });
    }

    fn write(
        &self,
        _req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let data = data.to_vec();
        self.when(Work::Write, self.path(ino), move |folder, _| {
            match folder.file(fh).and_then(|file| file.write_all_at(&data, offset)) {
                Ok(()) => reply.written(data.len() as u32),
                Err(error) => reply.error(error.into()),
            }
        });
    }

    fn flush(&self, _req: &Request, _ino: INodeNo, _fh: FileHandle, _lock_owner: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn release(
        &self,
        _req: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        self.folder.open().files.remove(&fh.0);
        reply.ok();
    }

    fn fsync(&self, _req: &Request, ino: INodeNo, _fh: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        // Nothing has to outlive this machine's power.
        self.when(Work::Sync, self.path(ino), |_, _| reply.ok());
    }

    fn fsyncdir(&self, _req: &Request, ino: INodeNo, _fh: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        self.when(Work::Sync, self.path(ino), |_, _| reply.ok());
    }

    fn readdir(&self, _req: &Request, ino: INodeNo, _fh: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        self.when(Work::Look, self.path(ino), move |folder, path| {
            let listed = fs::read_dir(folder.real(path)).and_then(|entries| {
                let mut all = vec![(FileType::Directory, ".".into()), (FileType::Directory, "..".into())];
                for entry in entries {
                    let entry = entry?;
                    let kind = FileType::from_std(entry.file_type()?).unwrap_or(FileType::RegularFile);
                    all.push((kind, entry.file_name()));
                }
                // In one order, so that an offset is a place.
                all.sort_by(|a, b| a.1.cmp(&b.1));
                Ok(all)
            });
            match listed {
                Ok(all) => {
                    for (at, (kind, name)) in (1..).zip(all).skip(usize::try_from(offset).unwrap_or(usize::MAX)) {
                        // The number is asked for again with the name.
                        if reply.add(INodeNo(u64::MAX), at, kind, name) {
                            break;
                        }
                    }
                    reply.ok();
                }
                Err(error) => reply.error(error.into()),
            }
        });
    }

    fn statfs(&self, _req: &Request, _ino: INodeNo, reply: ReplyStatfs) {
        self.when(Work::Look, PathBuf::new(), |folder, _| match statvfs(&folder.root) {
            Ok(it) => {
                let (block, fragment) = (it.f_bsize as u32, it.f_frsize as u32);
                reply.statfs(it.f_blocks, it.f_bfree, it.f_bavail, it.f_files, it.f_ffree, block, 255, fragment);
            }
            Err(error) => reply.error(io::Error::from(error).into()),
        });
    }
}
