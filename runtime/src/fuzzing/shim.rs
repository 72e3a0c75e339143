//! A program that calls into WASI as a script tells it: every function, mostly with arguments that make sense.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::LazyLock;
use std::time::Duration;

use surge_protocol::Outcome;
use surge_protocol::frame::ReportCode;
use surge_protocol::task::Limits;

use super::script::Script;
use crate::fs::Fs;
use crate::speaker::Speaker;
use crate::wasi::abi::rights;
use crate::wasi::{Clock, FUNCTIONS, Fault, Wasi, call_nth};

const MEMORY: usize = 1 << 16;
const QUOTA: u64 = 40_000;
const DATA: &[u8] = b"what was there before";
/// Calls of one program: enough to fill the quota and the table of descriptors.
const MOST_CALLS: usize = 2_000;
/// What a program would be killed and started again by.
const RESTART: u8 = 200;
/// Where arguments lie: results, paths, lists, and what is read and written.
const OUT: u32 = 0;
const PATHS: [u32; 2] = [0x1000, 0x2100];
const LIST: u32 = 0x3200;
const TEXT: u32 = 0x5000;

/// A data set of this process, once.
static SET: LazyLock<File> = LazyLock::new(|| {
    let file = anonymous().expect("a file");
    file.write_all_at(DATA, 0).expect("a write");
    file
});

fn anonymous() -> io::Result<File> {
    Ok(rustix::fs::memfd_create("set", rustix::fs::MemfdFlags::CLOEXEC)?.into())
}

/// A program's calls, or, where the first byte is 0, an image of `/state` that somebody else made.
pub fn shim(bytes: &[u8]) {
    match bytes.split_first() {
        Some((0, image)) => drop(restored(image, QUOTA)),
        Some((_, script)) => follow(script),
        None => {}
    }
}

/// Follows the script, looking after every step whether the world is still whole.
fn follow(script: &[u8]) {
    let mut program = Program { script: Script::new(script), length: None, paths: 0 };
    let mut memory = vec![0; MEMORY];
    let mut wasi = world(None);
    for _ in 0..MOST_CALLS {
        if program.script.is_over() {
            break;
        }
        let number = program.script.byte();
        if number >= RESTART {
            wasi = world(Some(&wasi.fs().state_image()));
        } else if !program.call(&mut wasi, &mut memory, usize::from(number) % (FUNCTIONS.len() - 1)) {
            break;
        }
        wasi.audit().unwrap_or_else(|broken| panic!("after call {number}: {broken}"));
    }
    let image = wasi.fs().state_image();
    restored(&image, QUOTA).expect("what was there fits again");
    read_only(wasi.fs());
}

/// What a program finds, with `/state` as it was.
fn world(state: Option<&[u8]>) -> Wasi {
    let set = SET.try_clone().expect("another descriptor");
    let mut fs = Fs::new(vec![("set".into(), set, DATA.len() as u64)], QUOTA, Clock::default().now());
    if let Some(state) = state {
        fs.restore_state(state).expect("what was there fits again");
    }
    let limits = Limits { output_bytes: 5_000, log_bytes: 500, ..Limits::default() };
    let speaker = Speaker::new(io::sink(), &limits);
    Wasi::new(vec!["an argument".into()], b"standard input".to_vec(), 0, fs, Some(Duration::ZERO), speaker)
}

/// The data set is what it was, and so are the folders that no program may change.
fn read_only(fs: &Fs) {
    let mut bytes = [0; DATA.len()];
    let set = fs.find(fs.root(), "data/set", false).expect("the data set is there");
    assert!(matches!(fs.read(set, 0, &mut bytes), Ok(read) if read == DATA.len()) && bytes == DATA);
    let mut names = Vec::new();
    let mut cookie = 0;
    while let Some((listed, _)) = fs.entry(fs.root(), cookie).expect("the root is a folder") {
        cookie = listed.next;
        names.push(listed.name);
    }
    assert_eq!(names, [".", "..", "data", "state", "tmp"]);
}

/// The tree that an image makes, if it is one: whole, within its quota, and with itself as its image.
pub(super) fn restored(image: &[u8], quota: u64) -> Option<Fs> {
    let mut fs = Fs::new(Vec::new(), quota, 0);
    fs.restore_state(image).ok()?;
    fs.audit(&[]).unwrap_or_else(|broken| panic!("restored: {broken}"));
    let first = fs.state_image();
    let mut again = Fs::new(Vec::new(), quota, 0);
    again.restore_state(&first).expect("an image of what fits, fits");
    assert_eq!(again.state_image(), first, "an image of an image");
    Some(fs)
}

/// The program, as far as its world can see it.
struct Program<'a> {
    script: Script<'a>,
    /// Of what the last argument points to.
    length: Option<u32>,
    /// Paths of this call so far.
    paths: usize,
}

impl Program<'_> {
    /// Makes one call. `false` when it was the last.
    fn call(&mut self, wasi: &mut Wasi, memory: &mut [u8], number: usize) -> bool {
        (self.length, self.paths) = (None, 0);
        match call_nth(wasi, number, memory, |name, memory| self.argument(name, memory)) {
            Ok(()) | Err(Fault::Errno(_)) => true,
            Err(Fault::End(ending)) => {
                assert_eq!(ending.outcome, Outcome::Limit, "{ending:?}");
                assert_eq!(ending.code, ReportCode::Word("output".into()), "{ending:?}");
                false
            }
        }
    }

    /// A value for the argument of this name. Now and then it is any value.
    fn argument(&mut self, name: &str, memory: &mut [u8]) -> u64 {
        let choice = self.script.byte();
        if choice == 255 {
            return self.script.long();
        }
        match name {
            "fd" | "new_fd" | "from" | "to" => u64::from(choice % 12),
            "path" | "new_path" | "target" => self.path(choice, memory).into(),
            "list" => self.buffers(choice, memory).into(),
            "subscriptions" => self.subscriptions(choice, memory).into(),
            "length" | "new_length" | "target_length" | "text_length" | "count" => match self.length.take() {
                Some(length) => length.into(),
                None => u64::from(choice) * 16,
            },
            "out" => OUT.into(),
            "out_flags" => (OUT + 8).into(),
            "text" | "at" | "events" => (TEXT + u32::from(choice)).into(),
            "base" | "inheriting" => {
                [rights::ALL, rights::FD_READ | rights::FD_WRITE, rights::FD_READ, rights::DIRECTORY]
                    [usize::from(choice % 4)]
            }
            "lookup" => u64::from(choice & 1),
            "clock" | "whence" => u64::from(choice % 5),
            "how" | "which" | "advice" => u64::from(choice & 15),
            "flags" => u64::from(choice & 31),
            // Offsets, sizes, times, cookies.
            _ => match choice {
                0..=99 => choice.into(),
                100..=199 => u64::from(choice) * 300,
                200..=219 => 1 << (choice - 190),
                220..=239 => u64::MAX - u64::from(choice - 220),
                _ => (1 << 63) + u64::from(choice) - 245,
            },
        }
    }

    /// Writes a path, and says where.
    fn path(&mut self, choice: u8, memory: &mut [u8]) -> u32 {
        const NAMES: [&str; 12] = ["tmp", "state", "a", "b", "c", "data", "set", "..", ".", "", "ü", "x"];
        let at = PATHS[self.paths % 2];
        self.paths += 1;
        // Most paths begin in a folder that can be written to.
        let mut path = match choice & 7 {
            0 | 1 => "tmp/",
            2..=4 => "state/",
            5 | 6 => "",
            _ => "/",
        }
        .to_owned();
        for _ in 0..choice >> 3 & 3 {
            let name = self.script.byte();
            match NAMES.get(usize::from(name & 15)) {
                Some(name) => path.push_str(name),
                None => path.extend(std::iter::repeat_n('n', usize::from(name))),
            }
            if name < 128 {
                path.push('/');
            }
        }
        if choice & 32 != 0 {
            path.truncate(path.trim_end_matches('/').len());
        }
        memory[at as usize..][..path.len()].copy_from_slice(path.as_bytes());
        self.length = Some(path.len() as u32);
        at
    }

    /// Writes a scatter-gather list, and says where.
    fn buffers(&mut self, choice: u8, memory: &mut [u8]) -> u32 {
        let count = u32::from(choice % 5);
        for n in 0..count {
            let (at, length) = match self.script.byte() {
                255 => (self.script.word(), self.script.word()),
                choice => (TEXT + u32::from(choice) * 64, u32::from(choice) * u32::from(choice & 15)),
            };
            let entry = [at.to_le_bytes(), length.to_le_bytes()].concat();
            memory[(LIST + n * 8) as usize..][..8].copy_from_slice(&entry);
        }
        self.length = Some(count);
        LIST
    }

    /// Writes subscriptions, and says where.
    fn subscriptions(&mut self, choice: u8, memory: &mut [u8]) -> u32 {
        let count = u32::from(choice % 4);
        for n in 0..count {
            let mut entry = [0; 48];
            entry[8] = self.script.byte() % 4;
            entry[16..20].copy_from_slice(&u32::from(self.script.byte() % 6).to_le_bytes());
            entry[24..32].copy_from_slice(&self.script.long().to_le_bytes());
            entry[40] = self.script.byte();
            memory[(LIST + n * 48) as usize..][..48].copy_from_slice(&entry);
        }
        self.length = Some(count);
        LIST
    }
}
