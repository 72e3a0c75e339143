//! The functions one by one, on a memory of the test's own: what wasi-libc and the public WASI test suite rely on.

use std::io::Write;
use std::sync::{Arc, Mutex};

use surge_protocol::frame::{self, FromWorker};
use surge_protocol::task::Limits;

use super::abi::{LOOKUP_FOLLOW, fdflags, fstflags, oflags, rights};
use super::*;

mod faults;
mod paths;

const ROOT: u32 = 3;
/// Where tests put texts, lists and results.
const TEXT: u32 = 0;
const TEXT_2: u32 = 5_000;
const LIST: u32 = 10_000;
const OUT: u32 = 11_000;
const BUFFER: u32 = 12_000;
const RW: u64 = rights::FD_READ | rights::FD_WRITE;

/// A pipe's other end.
#[derive(Debug, Clone, Default)]
struct Said(Arc<Mutex<Vec<u8>>>);

impl Write for Said {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

struct World {
    wasi: Wasi,
    memory: Vec<u8>,
    said: Said,
}

impl World {
    fn new() -> Self {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        let fs = Fs::new(vec![("set".into(), file, 10)], 1 << 20, Clock::default().now());
        let said = Said::default();
        let speaker = Speaker::new(said.clone(), &Limits::default());
        let wasi = Wasi::new(vec!["a".into()], b"standard input".to_vec(), 0, fs, None, speaker);
        Self { wasi, memory: vec![0; 65_536], said }
    }

    fn call(&mut self, function: impl FnOnce(&mut Wasi, &mut Guest<'_>) -> Answer) -> Result<(), Errno> {
        match function(&mut self.wasi, &mut Guest::new(&mut self.memory)) {
            Ok(()) => Ok(()),
            Err(Fault::Errno(errno)) => Err(errno),
            Err(Fault::End(ending)) => panic!("it ended: {ending:?}"),
        }
    }

    fn put(&mut self, at: u32, bytes: &[u8]) -> u32 {
        self.memory[at as usize..at as usize + bytes.len()].copy_from_slice(bytes);
        bytes.len() as u32
    }

    fn word(&self, at: u32) -> u32 {
        u32::from_le_bytes(self.memory[at as usize..at as usize + 4].try_into().unwrap())
    }

    fn long(&self, at: u32) -> u64 {
        u64::from_le_bytes(self.memory[at as usize..at as usize + 8].try_into().unwrap())
    }

    fn open_with(&mut self, path: &str, lookup: u32, how: u32, rights: u64, flags: u16) -> Result<u32, Errno> {
        let length = self.put(TEXT, path.as_bytes());
        self.call(|w, g| w.path_open(g, ROOT, lookup, TEXT, length, how, rights, rights::ALL, flags.into(), OUT))?;
        Ok(self.word(OUT))
    }

    fn open(&mut self, path: &str, how: u32) -> Result<u32, Errno> {
        self.open_with(path, LOOKUP_FOLLOW, how, RW, 0)
    }

    fn read_dir(&mut self, path: &str) -> Result<u32, Errno> {
        self.open_with(path, LOOKUP_FOLLOW, oflags::DIRECTORY, rights::DIRECTORY, 0)
    }

    /// One buffer of a scatter-gather list.
    fn list(&mut self, at: u32, length: u32) -> u32 {
        let entry = [at.to_le_bytes(), length.to_le_bytes()].concat();
        self.put(LIST, &entry);
        LIST
    }

    fn write(&mut self, fd: u32, bytes: &[u8]) -> Result<u32, Errno> {
        let length = self.put(BUFFER, bytes);
        let list = self.list(BUFFER, length);
        self.call(|w, g| w.fd_write(g, fd, list, 1, OUT))?;
        Ok(self.word(OUT))
    }

    fn read(&mut self, fd: u32, most: u32) -> Result<Vec<u8>, Errno> {
        let list = self.list(BUFFER, most);
        self.call(|w, g| w.fd_read(g, fd, list, 1, OUT))?;
        Ok(self.memory[BUFFER as usize..][..self.word(OUT) as usize].to_vec())
    }

    fn seek(&mut self, fd: u32, offset: i64, whence: u32) -> Result<u64, Errno> {
        self.call(|w, g| w.fd_seek(g, fd, offset, whence, OUT))?;
        Ok(self.long(OUT))
    }

    fn path(
        &mut self,
        path: &str,
        function: impl FnOnce(&mut Wasi, &mut Guest<'_>, u32) -> Answer,
    ) -> Result<(), Errno> {
        let length = self.put(TEXT, path.as_bytes());
        self.call(|w, g| function(w, g, length))
    }

    fn names(&mut self, fd: u32, buffer: u32) -> Vec<(String, u8)> {
        let (mut names, mut cookie) = (Vec::new(), 0);
        loop {
            self.call(|w, g| w.fd_readdir(g, fd, BUFFER, buffer, cookie, OUT)).unwrap();
            let used = self.word(OUT);
            let mut at = BUFFER;
            while at + 24 <= BUFFER + used {
                let (next, length) = (self.long(at), self.word(at + 16));
                if at + 24 + length > BUFFER + used {
                    break;
                }
                let name = &self.memory[(at + 24) as usize..][..length as usize];
                names.push((String::from_utf8(name.to_vec()).unwrap(), self.memory[at as usize + 20]));
                (cookie, at) = (next, at + 24 + length);
            }
            if used < buffer {
                return names;
            }
        }
    }
}

#[test]
fn all_46_functions_are_there() {
    assert_eq!(FUNCTIONS.len(), 46);
    let mut names: Vec<_> = FUNCTIONS.iter().map(|(name, ..)| name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 46);
    let engine = crate::engine::engine().unwrap();
    link(&mut Linker::new(&engine)).unwrap();
}

#[test]
fn a_file_is_written_sought_and_read_again() {
    let mut world = World::new();
    let fd = world.open("tmp/file", oflags::CREATE).unwrap();
    assert_eq!(world.write(fd, b"hello world"), Ok(11));
    assert_eq!(world.seek(fd, -5, 1), Ok(6));
    assert_eq!(world.read(fd, 100).unwrap(), b"world");
    assert_eq!(world.read(fd, 100).unwrap(), b"");
    assert_eq!(world.seek(fd, 0, 0), Ok(0));
    assert_eq!(world.seek(fd, -1, 0), Err(Errno::Invalid));
    assert_eq!(world.seek(fd, i64::MAX, 2), Err(Errno::Invalid));
    assert_eq!(world.seek(fd, 0, 3), Err(Errno::Invalid));
    assert_eq!(world.seek(fd, 4, 2), Ok(15));
    assert_eq!(world.write(fd, b"!"), Ok(1));
    assert_eq!(world.seek(fd, 9, 0), Ok(9));
    assert_eq!(world.read(fd, 100).unwrap(), b"ld\0\0\0\0!");
    let list = world.list(BUFFER, 3);
    world.call(|w, g| w.fd_pread(g, fd, list, 1, 4, OUT)).unwrap();
    assert_eq!(&world.memory[BUFFER as usize..][..3], b"o w");
    world.put(BUFFER, b"HEY");
    world.call(|w, g| w.fd_pwrite(g, fd, list, 1, 0, OUT)).unwrap();
    world.call(|w, g| w.fd_tell(g, fd, OUT)).unwrap();
    assert_eq!(world.long(OUT), 16);
    world.seek(fd, 0, 0).unwrap();
    assert_eq!(world.read(fd, 5).unwrap(), b"HEYlo");
}

#[test]
fn appending_always_goes_to_the_end() {
    let mut world = World::new();
    let fd = world.open_with("tmp/log", 0, oflags::CREATE, RW, fdflags::APPEND).unwrap();
    world.write(fd, b"one").unwrap();
    world.seek(fd, 0, 0).unwrap();
    world.write(fd, b"two").unwrap();
    world.seek(fd, 0, 0).unwrap();
    assert_eq!(world.read(fd, 10).unwrap(), b"onetwo");
    // Where an offset is given, too.
    let length = world.put(BUFFER, b"!");
    let list = world.list(BUFFER, length);
    world.call(|w, g| w.fd_pwrite(g, fd, list, 1, 0, OUT)).unwrap();
    world.seek(fd, 0, 0).unwrap();
    assert_eq!(world.read(fd, 10).unwrap(), b"onetwo!");
    world.call(|w, g| w.fd_fdstat_set_flags(g, fd, 0)).unwrap();
    world.seek(fd, 0, 0).unwrap();
    world.write(fd, b"ONE").unwrap();
    world.seek(fd, 0, 0).unwrap();
    assert_eq!(world.read(fd, 10).unwrap(), b"ONEtwo!");
    assert_eq!(world.call(|w, g| w.fd_fdstat_set_flags(g, fd, 32)), Err(Errno::Invalid));
}

#[test]
fn rights_can_be_given_up_and_not_taken_back() {
    let mut world = World::new();
    let fd = world.open("tmp/f", oflags::CREATE).unwrap();
    world.write(fd, b"text").unwrap();
    world.call(|w, g| w.fd_fdstat_set_rights(g, fd, rights::FD_READ, 0)).unwrap();
    assert_eq!(world.write(fd, b"x"), Err(Errno::BadFd));
    assert_eq!(world.call(|w, g| w.fd_filestat_set_size(g, fd, 0)), Err(Errno::BadFd));
    assert_eq!(world.call(|w, g| w.fd_allocate(g, fd, 0, 1)), Err(Errno::BadFd));
    assert_eq!(world.call(|w, g| w.fd_fdstat_set_rights(g, fd, RW, 0)), Err(Errno::NotCapable));
    // What a directory does not pass on, nothing opened through it has.
    world.call(|w, g| w.fd_fdstat_set_rights(g, ROOT, rights::DIRECTORY, rights::FD_READ)).unwrap();
    let fd = world.open("tmp/f", 0).unwrap();
    assert_eq!(world.read(fd, 10).unwrap(), b"text");
    assert_eq!(world.write(fd, b"x"), Err(Errno::BadFd));
    // Who gave up emptying files below a folder can't.
    let fewer = rights::DIRECTORY & !rights::PATH_SET_SIZE;
    world.call(|w, g| w.fd_fdstat_set_rights(g, ROOT, fewer, rights::FD_READ)).unwrap();
    assert_eq!(world.open("tmp/f", oflags::TRUNCATE), Err(Errno::NotCapable));
    assert!(world.open("tmp/f", 0).is_ok());
}

#[test]
fn descriptors_say_what_they_are() {
    let mut world = World::new();
    let file = world.open("tmp/f", oflags::CREATE).unwrap();
    let folder = world.read_dir("tmp").unwrap();
    for (fd, kind) in [(0, 0), (1, 0), (2, 0), (ROOT, 3), (file, 4), (folder, 3)] {
        world.call(|w, g| w.fd_fdstat_get(g, fd, OUT)).unwrap();
        assert_eq!(world.memory[OUT as usize], kind, "descriptor {fd}");
        world.call(|w, g| w.fd_filestat_get(g, fd, OUT)).unwrap();
        assert_eq!(world.memory[OUT as usize + 16], kind, "descriptor {fd}");
    }
    world.call(|w, g| w.fd_fdstat_get(g, file, OUT)).unwrap();
    assert_eq!(world.long(OUT + 8) & RW, RW);
    world.call(|w, g| w.fd_fdstat_get(g, ROOT, OUT)).unwrap();
    assert_eq!(world.long(OUT + 16) & RW, RW, "wasi-libc asks for no more than the root passes on");
    assert_eq!(world.call(|w, g| w.fd_fdstat_get(g, 77, OUT)), Err(Errno::BadFd));
}

#[test]
fn files_have_sizes_and_times() {
    let mut world = World::new();
    let fd = world.open("tmp/f", oflags::CREATE).unwrap();
    world.call(|w, g| w.fd_filestat_set_size(g, fd, 1_000)).unwrap();
    world.call(|w, g| w.fd_allocate(g, fd, 500, 1_000)).unwrap();
    world.call(|w, g| w.fd_allocate(g, fd, 0, 10)).unwrap();
    assert_eq!(world.call(|w, g| w.fd_allocate(g, fd, 0, 0)), Err(Errno::Invalid));
    assert_eq!(world.call(|w, g| w.fd_allocate(g, fd, u64::MAX, 2)), Err(Errno::Invalid));
    assert_eq!(world.call(|w, g| w.fd_allocate(g, fd, 1 << 40, 2)), Err(Errno::NoSpace));
    world.call(|w, g| w.fd_filestat_get(g, fd, OUT)).unwrap();
    assert_eq!(world.long(OUT + 32), 1_500);
    let start = CLOCK_START_S * 1_000_000_000;
    assert_eq!(world.long(OUT + 48), start);
    world.call(|w, g| w.clock_time_get(g, 0, 0, OUT)).unwrap();
    world.call(|w, g| w.fd_filestat_set_times(g, fd, 7, 8, fstflags::ATIM | fstflags::MTIM_NOW)).unwrap();
    world.path("tmp/f", |w, g, n| w.path_filestat_get(g, ROOT, LOOKUP_FOLLOW, TEXT, n, OUT)).unwrap();
    assert_eq!((world.long(OUT + 40), world.long(OUT + 48)), (7, start + CLOCK_STEP_NS));
    let both = fstflags::ATIM | fstflags::ATIM_NOW;
    assert_eq!(world.call(|w, g| w.fd_filestat_set_times(g, fd, 7, 8, both)), Err(Errno::Invalid));
    world
        .path("tmp/f", |w, g, n| w.path_filestat_set_times(g, ROOT, 0, TEXT, n, 1, 2, fstflags::ATIM | fstflags::MTIM))
        .unwrap();
    world.call(|w, g| w.fd_filestat_get(g, fd, OUT)).unwrap();
    assert_eq!((world.long(OUT + 40), world.long(OUT + 48)), (1, 2));
    let denied = world.path("data/set", |w, g, n| w.path_filestat_set_times(g, ROOT, 0, TEXT, n, 1, 2, fstflags::ATIM));
    assert_eq!(denied, Err(Errno::ReadOnly));
}

#[test]
fn streams_are_read_and_written_and_cannot_be_sought() {
    let mut world = World::new();
    assert_eq!(world.read(0, 8).unwrap(), b"standard");
    assert_eq!(world.read(0, 100).unwrap(), b" input");
    assert_eq!(world.read(0, 100).unwrap(), b"");
    for fd in 0..3 {
        assert_eq!(world.seek(fd, 0, 0), Err(Errno::SpaceNotSeekable));
        assert_eq!(world.call(|w, g| w.fd_tell(g, fd, OUT)), Err(Errno::SpaceNotSeekable));
        world.call(|w, g| w.fd_sync(g, fd)).unwrap();
    }
    world.write(1, b"to the result").unwrap();
    world.write(2, b"to the log").unwrap();
    world.write(1, b"!").unwrap();
    world.wasi.speaker().say(&FromWorker::Started).unwrap();
    let said = world.said.0.lock().unwrap().clone();
    let mut said = said.as_slice();
    assert_eq!(frame::read::<FromWorker>(&mut said).unwrap(), FromWorker::Log(b"to the log".to_vec()));
    assert_eq!(frame::read::<FromWorker>(&mut said).unwrap(), FromWorker::Output(b"to the result!".to_vec()));
}

#[test]
fn polls_report_what_is_ready_and_wait_only_where_nothing_is() {
    let mut world = World::new();
    let subscription = |user: u64, tag: u8, who: u32, timeout: u64, absolute: u16| {
        let mut bytes = [0; 48];
        bytes[..8].copy_from_slice(&user.to_le_bytes());
        bytes[8] = tag;
        bytes[16..20].copy_from_slice(&who.to_le_bytes());
        bytes[24..32].copy_from_slice(&timeout.to_le_bytes());
        bytes[40..42].copy_from_slice(&absolute.to_le_bytes());
        bytes
    };
    let mut poll = |subscriptions: &[[u8; 48]]| {
        world.put(BUFFER, &subscriptions.concat());
        world.call(|w, g| w.poll_oneoff(g, BUFFER, TEXT, subscriptions.len() as u32, OUT))?;
        let events = (0..world.word(OUT))
            .map(|n| (world.long(n * 32), world.memory[n as usize * 32 + 8], world.long(n * 32 + 16)));
        Ok::<_, Errno>((events.collect::<Vec<_>>(), world.wasi.clock.show(1).unwrap()))
    };
    // The shorter of two sleeps.
    assert_eq!(poll(&[subscription(1, 0, 1, 500, 0), subscription(2, 0, 0, 300, 0)]), Ok((vec![(2, 0, 0)], 300)));
    // An absolute time that has come, and one that has not.
    assert_eq!(poll(&[subscription(1, 0, 1, 100, 1), subscription(2, 0, 1, 900, 1)]), Ok((vec![(1, 0, 0)], 300)));
    // Input is there: nobody waits for the clock.
    assert_eq!(poll(&[subscription(1, 0, 1, 500, 0), subscription(2, 1, 0, 0, 0)]), Ok((vec![(2, 0, 14)], 300)));
    assert_eq!(poll(&[subscription(3, 2, 1, 0, 0)]), Ok((vec![(3, 0, 65_536)], 300)));
    // Errors are events.
    assert_eq!(poll(&[subscription(4, 1, 9, 0, 0)]), Ok((vec![(4, Errno::BadFd as u8, 0)], 300)));
    assert_eq!(poll(&[subscription(5, 0, 9, 0, 0)]), Ok((vec![(5, Errno::Invalid as u8, 0)], 300)));
    assert_eq!(poll(&[subscription(6, 3, 0, 0, 0)]), Err(Errno::Invalid));
    assert_eq!(poll(&[]), Err(Errno::Invalid));
}

#[test]
fn random_numbers_follow_the_seed_alone() {
    let draw = |seed: u64| {
        let mut world = World::new();
        let fs = Fs::new(Vec::new(), 0, 0);
        world.wasi = Wasi::new(Vec::new(), Vec::new(), seed, fs, None, Speaker::new(Vec::new(), &Limits::default()));
        world.call(|w, g| w.random_get(g, BUFFER, 64)).unwrap();
        world.memory[BUFFER as usize..][..64].to_vec()
    };
    assert_eq!(draw(7), draw(7));
    assert_ne!(draw(7), draw(8));
}

#[test]
fn renumbering_closes_what_was_there() {
    let mut world = World::new();
    let a = world.open("tmp/a", oflags::CREATE).unwrap();
    let b = world.open("tmp/b", oflags::CREATE).unwrap();
    world.write(a, b"a").unwrap();
    world.call(|w, g| w.fd_renumber(g, a, b)).unwrap();
    assert_eq!(world.write(a, b"x"), Err(Errno::BadFd));
    world.write(b, b"b").unwrap();
    world.seek(b, 0, 0).unwrap();
    assert_eq!(world.read(b, 9).unwrap(), b"ab");
    assert_eq!(world.call(|w, g| w.fd_renumber(g, b, 99)), Err(Errno::BadFd));
    world.call(|w, g| w.fd_renumber(g, b, b)).unwrap();
    assert_eq!(world.open("tmp/c", oflags::CREATE), Ok(a), "the lowest free number");
}

#[test]
fn advice_is_checked_and_ignored() {
    let mut world = World::new();
    let fd = world.open("tmp/f", oflags::CREATE).unwrap();
    world.call(|w, g| w.fd_advise(g, fd, 0, 10, 5)).unwrap();
    assert_eq!(world.call(|w, g| w.fd_advise(g, fd, 0, 10, 6)), Err(Errno::Invalid));
    assert_eq!(world.call(|w, g| w.fd_advise(g, ROOT, 0, 10, 0)), Err(Errno::BadFd));
}
