//! The descriptors of a program: three streams, the root directory, and what it opens.

use super::abi::{Errno, FileType, fdflags, rights};
use super::{Answer, Wasi};
use crate::fs::{Fs, Inode};
use crate::guest::Guest;

/// The most descriptors that can be open at once.
const MOST: usize = 1_024;
/// Under which name the root is handed to the program.
pub(super) const ROOT_NAME: &str = "/";
const ROOT_FD: u32 = 3;

/// What a descriptor is open on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Stdin,
    Stdout,
    Stderr,
    Node(Inode),
}

/// One open descriptor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Descriptor {
    pub(super) target: Target,
    /// Where the next read or write begins.
    pub(super) at: u64,
    pub(super) flags: u16,
    pub(super) base: u64,
    pub(super) inheriting: u64,
}

impl Descriptor {
    const fn stream(target: Target, base: u64) -> Self {
        Self { target, at: 0, flags: 0, base, inheriting: 0 }
    }

    /// Checks that it was opened for reading or writing, whichever is asked.
    pub(super) const fn need(&self, right: u64) -> Result<(), Errno> {
        if self.base & right == right { Ok(()) } else { Err(Errno::BadFd) }
    }

    pub(super) fn node(&self) -> Result<Inode, Errno> {
        match self.target {
            Target::Node(inode) => Ok(inode),
            _ => Err(Errno::Invalid),
        }
    }

    pub(super) const fn appends(&self) -> bool {
        self.flags & fdflags::APPEND != 0
    }
}

/// The table, indexed by number.
#[derive(Debug)]
pub(super) struct Descriptors(Vec<Option<Descriptor>>);

impl Descriptors {
    pub(super) fn new(fs: &mut Fs) -> Self {
        let root = fs.open_root();
        let (read, write) = (rights::STREAM & !rights::FD_WRITE, rights::STREAM & !rights::FD_READ);
        let root = Descriptor {
            target: Target::Node(root),
            at: 0,
            flags: 0,
            base: rights::DIRECTORY,
            inheriting: rights::ALL,
        };
        Self(vec![
            Some(Descriptor::stream(Target::Stdin, read)),
            Some(Descriptor::stream(Target::Stdout, write)),
            Some(Descriptor::stream(Target::Stderr, write)),
            Some(root),
        ])
    }

    pub(super) fn get(&self, fd: u32) -> Result<Descriptor, Errno> {
        self.0.get(fd as usize).copied().flatten().ok_or(Errno::BadFd)
    }

    pub(super) fn get_mut(&mut self, fd: u32) -> Result<&mut Descriptor, Errno> {
        self.0.get_mut(fd as usize).and_then(Option::as_mut).ok_or(Errno::BadFd)
    }

    /// Whether there is room for one more.
    pub(super) fn room(&self) -> Result<(), Errno> {
        if self.0.len() < MOST || self.0.iter().any(Option::is_none) { Ok(()) } else { Err(Errno::TooManyFds) }
    }

    /// Opens the lowest free number.
    fn add(&mut self, descriptor: Descriptor) -> Result<u32, Errno> {
        self.room()?;
        let at = self.0.iter().position(Option::is_none).unwrap_or_else(|| {
            self.0.push(None);
            self.0.len() - 1
        });
        self.0[at] = Some(descriptor);
        u32::try_from(at).map_err(|_| Errno::TooManyFds)
    }

    /// What is open on files and folders.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn nodes(&self) -> Vec<Inode> {
        assert!(self.0.len() <= MOST, "more descriptors than there may be");
        self.0.iter().flatten().filter_map(|open| open.node().ok()).collect()
    }

    fn take(&mut self, fd: u32) -> Result<Descriptor, Errno> {
        self.0.get_mut(fd as usize).and_then(Option::take).ok_or(Errno::BadFd)
    }
}

impl Wasi {
    /// Opens a descriptor on a file.
    pub(super) fn open(&mut self, inode: Inode, flags: u16, base: u64, inheriting: u64) -> Result<u32, Errno> {
        let fd = self.fds.add(Descriptor { target: Target::Node(inode), at: 0, flags, base, inheriting })?;
        self.fs.open(inode)?;
        Ok(fd)
    }

    /// The directory that `fd` is open on.
    pub(super) fn directory(&self, fd: u32) -> Result<Inode, Errno> {
        match self.fds.get(fd)?.target {
            Target::Node(inode) if self.fs.stat(inode)?.kind == FileType::Directory => Ok(inode),
            _ => Err(Errno::NotDirectory),
        }
    }

    /// The file that `fd` is open on: not a directory, not a stream.
    pub(super) fn file(&self, fd: u32) -> Result<(Descriptor, Inode), Errno> {
        let descriptor = self.fds.get(fd)?;
        match descriptor.target {
            Target::Node(inode) if self.fs.stat(inode)?.kind == FileType::Regular => Ok((descriptor, inode)),
            Target::Node(_) => Err(Errno::BadFd),
            _ => Err(Errno::SpaceNotSeekable),
        }
    }

    pub(super) fn fd_close(&mut self, _: &mut Guest<'_>, fd: u32) -> Answer {
        let closed = self.fds.take(fd)?;
        self.release(closed);
        Ok(())
    }

    pub(super) fn fd_renumber(&mut self, _: &mut Guest<'_>, from: u32, to: u32) -> Answer {
        self.fds.get(from)?;
        self.fds.get(to)?;
        if from != to {
            let moved = self.fds.take(from)?;
            let closed = std::mem::replace(self.fds.get_mut(to)?, moved);
            self.release(closed);
        }
        Ok(())
    }

    pub(super) fn fd_prestat_get(&mut self, guest: &mut Guest<'_>, fd: u32, out: u32) -> Answer {
        let name = self.preopened(fd)?;
        guest.check(out, 8)?;
        // A tag of 0 says that it is a directory.
        guest.write_u32(out, 0)?;
        let length = out.checked_add(4).ok_or(Errno::Fault)?;
        Ok(guest.write_u32(length, u32::try_from(name.len()).map_err(|_| Errno::Overflow)?)?)
    }

    pub(super) fn fd_prestat_dir_name(&mut self, guest: &mut Guest<'_>, fd: u32, text: u32, length: u32) -> Answer {
        let name = self.preopened(fd)?;
        if (length as usize) < name.len() {
            return Err(Errno::NameTooLong.into());
        }
        guest.check(text, length)?;
        Ok(guest.write(text, name.as_bytes())?)
    }

    /// The root is the only directory that a program finds open.
    fn preopened(&self, fd: u32) -> Result<&'static str, Errno> {
        match self.fds.get(fd)?.target {
            Target::Node(inode) if fd == ROOT_FD && inode == self.fs.root() => Ok(ROOT_NAME),
            _ => Err(Errno::BadFd),
        }
    }

    fn release(&mut self, closed: Descriptor) {
        if let Target::Node(inode) = closed.target {
            self.fs.close(inode);
        }
    }
}
