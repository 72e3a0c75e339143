//! What descriptors and files are, and setting what can be set of them.

use super::abi::{Errno, FileStat, FileType, LOOKUP_FOLLOW, fdflags, fstflags};
use super::fds::Target;
use super::{Answer, Wasi};
use crate::fs::PATH_BYTES;
use crate::guest::Guest;

impl Wasi {
    pub(super) fn fd_fdstat_get(&mut self, guest: &mut Guest<'_>, fd: u32, out: u32) -> Answer {
        let descriptor = self.fds.get(fd)?;
        let mut stat = [0; 24];
        stat[0] = self.stat(fd)?.kind as u8;
        stat[2..4].copy_from_slice(&descriptor.flags.to_le_bytes());
        stat[8..16].copy_from_slice(&descriptor.base.to_le_bytes());
        stat[16..].copy_from_slice(&descriptor.inheriting.to_le_bytes());
        Ok(guest.write(out, &stat)?)
    }

    pub(super) fn fd_fdstat_set_flags(&mut self, _: &mut Guest<'_>, fd: u32, flags: u32) -> Answer {
        let descriptor = self.fds.get_mut(fd)?;
        descriptor.flags =
            u16::try_from(flags).ok().filter(|flags| flags & !fdflags::ALL == 0).ok_or(Errno::Invalid)?;
        Ok(())
    }

    /// Rights can be given up and never taken back.
    pub(super) fn fd_fdstat_set_rights(&mut self, _: &mut Guest<'_>, fd: u32, base: u64, inheriting: u64) -> Answer {
        let descriptor = self.fds.get_mut(fd)?;
        if base & !descriptor.base != 0 || inheriting & !descriptor.inheriting != 0 {
            return Err(Errno::NotCapable.into());
        }
        (descriptor.base, descriptor.inheriting) = (base, inheriting);
        Ok(())
    }

    pub(super) fn fd_filestat_get(&mut self, guest: &mut Guest<'_>, fd: u32, out: u32) -> Answer {
        let stat = self.stat(fd)?;
        Ok(guest.write(out, &stat.to_bytes())?)
    }

    pub(super) fn fd_filestat_set_size(&mut self, _: &mut Guest<'_>, fd: u32, size: u64) -> Answer {
        let (descriptor, inode) = self.file(fd)?;
        descriptor.need(super::abi::rights::FD_WRITE)?;
        Ok(self.fs.resize(inode, size, self.clock.now())?)
    }

    pub(super) fn fd_filestat_set_times(
        &mut self,
        _: &mut Guest<'_>,
        fd: u32,
        accessed: u64,
        modified: u64,
        which: u32,
    ) -> Answer {
        let inode = self.fds.get(fd)?.node()?;
        let (accessed, modified) = self.times(accessed, modified, which)?;
        Ok(self.fs.set_times(inode, accessed, modified, self.clock.now())?)
    }

    pub(super) fn path_filestat_get(
        &mut self,
        guest: &mut Guest<'_>,
        fd: u32,
        lookup: u32,
        path: u32,
        length: u32,
        out: u32,
    ) -> Answer {
        let base = self.directory(fd)?;
        let path = guest.text(path, length, PATH_BYTES)?;
        let inode = self.fs.find(base, &path, lookup & LOOKUP_FOLLOW != 0)?;
        Ok(guest.write(out, &self.fs.stat(inode)?.to_bytes())?)
    }

    #[expect(clippy::too_many_arguments, reason = "the signature is WASI's")]
    pub(super) fn path_filestat_set_times(
        &mut self,
        guest: &mut Guest<'_>,
        fd: u32,
        lookup: u32,
        path: u32,
        length: u32,
        accessed: u64,
        modified: u64,
        which: u32,
    ) -> Answer {
        let base = self.directory(fd)?;
        let path = guest.text(path, length, PATH_BYTES)?;
        let inode = self.fs.find(base, &path, lookup & LOOKUP_FOLLOW != 0)?;
        let (accessed, modified) = self.times(accessed, modified, which)?;
        Ok(self.fs.set_times(inode, accessed, modified, self.clock.now())?)
    }

    fn stat(&self, fd: u32) -> Result<FileStat, Errno> {
        match self.fds.get(fd)?.target {
            Target::Node(inode) => self.fs.stat(inode),
            _ => Ok(FileStat {
                inode: 0,
                kind: FileType::Unknown,
                links: 1,
                size: 0,
                accessed: 0,
                modified: 0,
                changed: 0,
            }),
        }
    }

    fn times(&self, accessed: u64, modified: u64, which: u32) -> Result<(Option<u64>, Option<u64>), Errno> {
        let (atim, mtim) = (fstflags::ATIM | fstflags::ATIM_NOW, fstflags::MTIM | fstflags::MTIM_NOW);
        if which & !fstflags::ALL != 0 || which & atim == atim || which & mtim == mtim {
            return Err(Errno::Invalid);
        }
        let pick = |given: u64, value: u32, now: u32| match which {
            _ if which & value != 0 => Some(given),
            _ if which & now != 0 => Some(self.clock.now()),
            _ => None,
        };
        Ok((pick(accessed, fstflags::ATIM, fstflags::ATIM_NOW), pick(modified, fstflags::MTIM, fstflags::MTIM_NOW)))
    }
}
