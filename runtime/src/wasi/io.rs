//! Reading, writing, seeking and listing through descriptors.

use super::abi::{Errno, FileType, rights};
use super::fds::Target;
use super::{Answer, Fault, Wasi};
use crate::ending::Ending;
use crate::fs::Inode;
use crate::guest::Guest;
use crate::speaker::Speaker;

/// Size of a directory entry before its name.
const ENTRY: usize = 24;

impl Wasi {
    pub(super) fn fd_read(&mut self, guest: &mut Guest<'_>, fd: u32, list: u32, count: u32, out: u32) -> Answer {
        let descriptor = self.fds.get(fd)?;
        descriptor.need(rights::FD_READ)?;
        let buffers = guest.buffers(list, count)?;
        guest.check(out, 4)?;
        let total = match descriptor.target {
            Target::Stdin => self.read_stdin(guest, &buffers)?,
            Target::Node(inode) => {
                let total = self.scatter(guest, inode, descriptor.at, &buffers)?;
                self.fds.get_mut(fd)?.at += total;
                total
            }
            Target::Stdout | Target::Stderr => return Err(Errno::BadFd.into()),
        };
        Ok(guest.write_u32(out, size(total)?)?)
    }

    pub(super) fn fd_pread(
        &mut self,
        guest: &mut Guest<'_>,
        fd: u32,
        list: u32,
        count: u32,
        offset: u64,
        out: u32,
    ) -> Answer {
        let (descriptor, inode) = self.file(fd)?;
        descriptor.need(rights::FD_READ)?;
        let buffers = guest.buffers(list, count)?;
        guest.check(out, 4)?;
        let total = self.scatter(guest, inode, offset, &buffers)?;
        Ok(guest.write_u32(out, size(total)?)?)
    }

    pub(super) fn fd_write(&mut self, guest: &mut Guest<'_>, fd: u32, list: u32, count: u32, out: u32) -> Answer {
        let descriptor = self.fds.get(fd)?;
        descriptor.need(rights::FD_WRITE)?;
        let buffers = guest.buffers(list, count)?;
        guest.check(out, 4)?;
        let total = match descriptor.target {
            Target::Stdout => self.say(guest, &buffers, Speaker::output)?,
            Target::Stderr => self.say(guest, &buffers, Speaker::log)?,
            Target::Node(inode) => {
                let at = if descriptor.appends() { self.fs.stat(inode)?.size } else { descriptor.at };
                let total = self.gather(guest, inode, at, &buffers)?;
                self.fds.get_mut(fd)?.at = at + total;
                total
            }
            Target::Stdin => return Err(Errno::BadFd.into()),
        };
        Ok(guest.write_u32(out, size(total)?)?)
    }

    pub(super) fn fd_pwrite(
        &mut self,
        guest: &mut Guest<'_>,
        fd: u32,
        list: u32,
        count: u32,
        offset: u64,
        out: u32,
    ) -> Answer {
        let (descriptor, inode) = self.file(fd)?;
        descriptor.need(rights::FD_WRITE)?;
        let buffers = guest.buffers(list, count)?;
        guest.check(out, 4)?;
        // As on Linux, and as the public test suite has it: what is opened for appending is appended to, wherever.
        let offset = if descriptor.appends() { self.fs.stat(inode)?.size } else { offset };
        let total = self.gather(guest, inode, offset, &buffers)?;
        Ok(guest.write_u32(out, size(total)?)?)
    }

    pub(super) fn fd_seek(&mut self, guest: &mut Guest<'_>, fd: u32, offset: i64, whence: u32, out: u32) -> Answer {
        let (descriptor, inode) = self.file(fd)?;
        guest.check(out, 8)?;
        let from = match whence {
            0 => 0,
            1 => descriptor.at,
            2 => self.fs.stat(inode)?.size,
            _ => return Err(Errno::Invalid.into()),
        };
        let at = from.checked_add_signed(offset).filter(|&at| i64::try_from(at).is_ok()).ok_or(Errno::Invalid)?;
        self.fds.get_mut(fd)?.at = at;
        Ok(guest.write_u64(out, at)?)
    }

    pub(super) fn fd_tell(&mut self, guest: &mut Guest<'_>, fd: u32, out: u32) -> Answer {
        let (descriptor, _) = self.file(fd)?;
        Ok(guest.write_u64(out, descriptor.at)?)
    }

    pub(super) fn fd_readdir(
        &mut self,
        guest: &mut Guest<'_>,
        fd: u32,
        text: u32,
        length: u32,
        cookie: u64,
        out: u32,
    ) -> Answer {
        let folder = self.directory(fd)?;
        guest.check(text, length)?;
        guest.check(out, 4)?;
        let (mut at, mut cookie) = (0, cookie);
        while at < length {
            let Some((listed, kind)) = self.fs.entry(folder, cookie)? else { break };
            let mut entry = vec![0; ENTRY];
            entry[..8].copy_from_slice(&listed.next.to_le_bytes());
            entry[8..16].copy_from_slice(&listed.inode.to_le_bytes());
            entry[16..20].copy_from_slice(&size(listed.name.len() as u64)?.to_le_bytes());
            entry[20] = kind as u8;
            entry.extend_from_slice(listed.name.as_bytes());
            // The last entry is cut where the buffer ends: a full buffer tells the program to ask again.
            let fits = entry.len().min((length - at) as usize);
            guest.write(text.checked_add(at).ok_or(Errno::Fault)?, &entry[..fits])?;
            at += size(fits as u64)?;
            cookie = listed.next;
        }
        Ok(guest.write_u32(out, at)?)
    }

    pub(super) fn fd_allocate(&mut self, _: &mut Guest<'_>, fd: u32, offset: u64, length: u64) -> Answer {
        let (descriptor, inode) = self.file(fd)?;
        descriptor.need(rights::FD_WRITE)?;
        let end = offset.checked_add(length).filter(|_| length > 0).ok_or(Errno::Invalid)?;
        if end > self.fs.stat(inode)?.size {
            self.fs.resize(inode, end, self.clock.now())?;
        }
        Ok(())
    }

    pub(super) fn fd_advise(&mut self, _: &mut Guest<'_>, fd: u32, _offset: u64, _length: u64, advice: u32) -> Answer {
        self.file(fd)?;
        // Six kinds of advice exist; none of them changes anything in memory.
        if advice > 5 { Err(Errno::Invalid.into()) } else { Ok(()) }
    }

    /// Bytes that can be read at once, for `poll_oneoff`.
    pub(super) fn readable(&self, fd: u32) -> Result<u64, Errno> {
        let descriptor = self.fds.get(fd)?;
        descriptor.need(rights::FD_READ)?;
        match descriptor.target {
            Target::Stdin => Ok((self.stdin.len() - self.stdin_at) as u64),
            Target::Node(inode) => Ok(self.fs.stat(inode)?.size.saturating_sub(descriptor.at)),
            Target::Stdout | Target::Stderr => Err(Errno::BadFd),
        }
    }

    /// Room for writing, for `poll_oneoff`. There is always some: what is too much is refused when it is written.
    pub(super) fn writable(&self, fd: u32) -> Result<u64, Errno> {
        self.fds.get(fd)?.need(rights::FD_WRITE)?;
        Ok(1 << 16)
    }

    fn read_stdin(&mut self, guest: &mut Guest<'_>, buffers: &[(u32, u32)]) -> Result<u64, Fault> {
        let mut total = 0;
        for &(at, length) in buffers {
            let buffer = guest.slice_mut(at, length)?;
            let left = &self.stdin[self.stdin_at..];
            let taken = left.len().min(buffer.len());
            buffer[..taken].copy_from_slice(&left[..taken]);
            self.stdin_at += taken;
            total += taken as u64;
            if taken < buffer.len() {
                break;
            }
        }
        Ok(total)
    }

    fn scatter(&self, guest: &mut Guest<'_>, inode: Inode, from: u64, buffers: &[(u32, u32)]) -> Result<u64, Fault> {
        if self.fs.stat(inode)?.kind != FileType::Regular {
            return Err(Errno::BadFd.into());
        }
        let mut total = 0;
        for &(at, length) in buffers {
            let buffer = guest.slice_mut(at, length)?;
            let read = self.fs.read(inode, from.saturating_add(total), buffer)?;
            total += read as u64;
            if read < length as usize {
                break;
            }
        }
        Ok(total)
    }

    fn gather(&mut self, guest: &mut Guest<'_>, inode: Inode, from: u64, buffers: &[(u32, u32)]) -> Result<u64, Fault> {
        let now = self.clock.now();
        let mut total = 0;
        for &(at, length) in buffers {
            let bytes = guest.slice(at, length)?;
            let to = from.checked_add(total).ok_or(Errno::FileTooBig);
            match to.and_then(|to| self.fs.write(inode, to, bytes, now)) {
                Ok(written) => {
                    total += written as u64;
                    if written < length as usize {
                        break;
                    }
                }
                // What was written before counts; the next call will say why it stopped.
                Err(_) if total > 0 => break,
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(total)
    }

    fn say(
        &mut self,
        guest: &mut Guest<'_>,
        buffers: &[(u32, u32)],
        say: impl Fn(&mut Speaker, &[u8]) -> Result<(), Ending>,
    ) -> Result<u64, Fault> {
        let mut total = 0;
        for &(at, length) in buffers {
            say(&mut self.speaker, guest.slice(at, length)?)?;
            total += u64::from(length);
        }
        Ok(total)
    }
}

fn size(value: u64) -> Result<u32, Errno> {
    u32::try_from(value).map_err(|_| Errno::Overflow)
}
