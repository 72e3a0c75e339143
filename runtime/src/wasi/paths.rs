//! Opening, creating, moving and removing by path.

use super::abi::{Errno, FileType, LOOKUP_FOLLOW, fdflags, oflags, rights};
use super::{Answer, Wasi};
use crate::fs::{Found, Inode, PATH_BYTES};
use crate::guest::Guest;

impl Wasi {
    #[expect(clippy::too_many_arguments, reason = "the signature is WASI's")]
    pub(super) fn path_open(
        &mut self,
        guest: &mut Guest<'_>,
        fd: u32,
        lookup: u32,
        path: u32,
        length: u32,
        how: u32,
        base: u64,
        inheriting: u64,
        flags: u32,
        out: u32,
    ) -> Answer {
        let parent = self.fds.get(fd)?;
        guest.check(out, 4)?;
        let flags = u16::try_from(flags).ok().filter(|flags| flags & !fdflags::ALL == 0).ok_or(Errno::Invalid)?;
        if how & !oflags::ALL != 0 {
            return Err(Errno::Invalid.into());
        }
        if how & oflags::TRUNCATE != 0 && parent.base & rights::PATH_SET_SIZE == 0 {
            return Err(Errno::NotCapable.into());
        }
        // POSIX: what must be new is not looked for behind a link.
        let exclusive = how & oflags::CREATE != 0 && how & oflags::EXCLUSIVE != 0;
        let found = self.at(guest, fd, path, length, lookup & LOOKUP_FOLLOW != 0 && !exclusive)?;
        self.fds.room()?;
        let (base, inheriting) = (base & parent.inheriting, inheriting & parent.inheriting);
        let inode = match found.node() {
            Ok(inode) => self.open_existing(&found, inode, how, base)?,
            Err(_) if how & oflags::CREATE != 0 && how & oflags::DIRECTORY != 0 => return Err(Errno::Invalid.into()),
            Err(_) if how & oflags::CREATE != 0 => self.fs.create_file(found, self.clock.now())?,
            Err(errno) => return Err(errno.into()),
        };
        let (base, inheriting) = match self.fs.stat(inode)?.kind {
            FileType::Directory => (base & rights::DIRECTORY, inheriting),
            _ => (base & rights::FILE, inheriting & rights::FILE),
        };
        let opened = self.open(inode, flags, base, inheriting)?;
        Ok(guest.write_u32(out, opened)?)
    }

    fn open_existing(&mut self, found: &Found, inode: Inode, how: u32, base: u64) -> Result<Inode, Errno> {
        let kind = self.fs.stat(inode)?.kind;
        let slash = matches!(found, Found::Name { slash: true, .. });
        let write = base & rights::FD_WRITE != 0 || how & oflags::TRUNCATE != 0;
        match kind {
            _ if how & oflags::CREATE != 0 && how & oflags::EXCLUSIVE != 0 => return Err(Errno::Exists),
            FileType::Link if how & oflags::DIRECTORY == 0 => return Err(Errno::Loop),
            FileType::Directory if write => return Err(Errno::IsDirectory),
            FileType::Directory => return Ok(inode),
            _ if slash || how & oflags::DIRECTORY != 0 => return Err(Errno::NotDirectory),
            _ => {}
        }
        if write {
            self.fs.writable(inode)?;
        }
        if how & oflags::TRUNCATE != 0 {
            self.fs.resize(inode, 0, self.clock.now())?;
        }
        Ok(inode)
    }

    pub(super) fn path_create_directory(&mut self, guest: &mut Guest<'_>, fd: u32, path: u32, length: u32) -> Answer {
        let place = self.at(guest, fd, path, length, false)?;
        self.fs.create_directory(place, self.clock.now())?;
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "the signature is WASI's")]
    pub(super) fn path_link(
        &mut self,
        guest: &mut Guest<'_>,
        fd: u32,
        lookup: u32,
        path: u32,
        length: u32,
        new_fd: u32,
        new_path: u32,
        new_length: u32,
    ) -> Answer {
        let base = self.directory(fd)?;
        let path = guest.text(path, length, PATH_BYTES)?;
        let inode = self.fs.find(base, &path, lookup & LOOKUP_FOLLOW != 0)?;
        let place = self.at(guest, new_fd, new_path, new_length, false)?;
        if matches!(place, Found::Name { slash: true, node: None, .. }) {
            return Err(Errno::NotFound.into());
        }
        Ok(self.fs.link(inode, place, self.clock.now())?)
    }

    #[expect(clippy::too_many_arguments, reason = "the signature is WASI's")]
    pub(super) fn path_readlink(
        &mut self,
        guest: &mut Guest<'_>,
        fd: u32,
        path: u32,
        length: u32,
        text: u32,
        text_length: u32,
        out: u32,
    ) -> Answer {
        let base = self.directory(fd)?;
        let path = guest.text(path, length, PATH_BYTES)?;
        let inode = self.fs.find(base, &path, false)?;
        let target = self.fs.link_target(inode)?.as_bytes();
        guest.check(text, text_length)?;
        guest.check(out, 4)?;
        let fits = &target[..target.len().min(text_length as usize)];
        guest.write(text, fits)?;
        Ok(guest.write_u32(out, u32::try_from(fits.len()).map_err(|_| Errno::Overflow)?)?)
    }

    pub(super) fn path_remove_directory(&mut self, guest: &mut Guest<'_>, fd: u32, path: u32, length: u32) -> Answer {
        let place = self.at(guest, fd, path, length, false)?;
        Ok(self.fs.remove_directory(place, self.clock.now())?)
    }

    #[expect(clippy::too_many_arguments, reason = "the signature is WASI's")]
    pub(super) fn path_rename(
        &mut self,
        guest: &mut Guest<'_>,
        fd: u32,
        path: u32,
        length: u32,
        new_fd: u32,
        new_path: u32,
        new_length: u32,
    ) -> Answer {
        let from = self.at(guest, fd, path, length, false)?;
        let to = self.at(guest, new_fd, new_path, new_length, false)?;
        Ok(self.fs.rename(from, to, self.clock.now())?)
    }

    pub(super) fn path_symlink(
        &mut self,
        guest: &mut Guest<'_>,
        target: u32,
        target_length: u32,
        fd: u32,
        path: u32,
        length: u32,
    ) -> Answer {
        let target = guest.text(target, target_length, PATH_BYTES)?;
        let place = self.at(guest, fd, path, length, false)?;
        self.fs.create_link(place, &target, self.clock.now())?;
        Ok(())
    }

    pub(super) fn path_unlink_file(&mut self, guest: &mut Guest<'_>, fd: u32, path: u32, length: u32) -> Answer {
        let place = self.at(guest, fd, path, length, false)?;
        Ok(self.fs.remove_file(place, self.clock.now())?)
    }

    /// Where a path from the directory `fd` leads.
    fn at(&self, guest: &mut Guest<'_>, fd: u32, path: u32, length: u32, follow: bool) -> Result<Found, Errno> {
        let base = self.directory(fd)?;
        let path = guest.text(path, length, PATH_BYTES)?;
        self.fs.walk(base, &path, follow)
    }
}
