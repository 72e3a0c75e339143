//! WASI preview 1 for a task: all 46 functions, over an in-memory file system, a virtual clock and seeded randomness.
//!
//! Deliberately absent: the machine. No path of the host is ever opened, no time of day can be read, nothing waits,
//! and sockets are not supported. Behaviour follows the specification (`wasi_snapshot_preview1.witx`) and, where that
//! is silent, what wasi-libc expects.

pub(crate) mod abi;
#[cfg(any(test, feature = "fuzzing"))]
mod audit;
mod checkpoint;
mod clock;
mod describe;
mod fds;
mod io;
mod paths;
mod poll;

use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use wasmparser::ValType;
use wasmtime::{Caller, Extern, Linker};

use crate::ending::Ending;
use crate::fs::Fs;
use crate::guest::Guest;
use crate::run::Host;
use crate::speaker::Speaker;
use abi::Errno;
use checkpoint::Checkpoints;
pub(crate) use clock::{CLOCK_START_S, CLOCK_STEP_NS, Clock};
use fds::Descriptors;

/// Where the functions are imported from.
pub(crate) const MODULE: &str = "wasi_snapshot_preview1";
/// Raised with every change that a program could notice.
pub(crate) const SHIM_VERSION: u64 = 3;
/// What a host call costs where work is metered, besides one unit for every byte that it touches.
pub(crate) const FUEL_PER_CALL: u64 = 100;
/// The name under which a program sees itself.
const PROGRAM: &str = "task";

/// Why a function did not simply succeed.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The program is told so.
    Errno(Errno),
    /// The program ends.
    End(Ending),
}

impl From<Errno> for Fault {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

impl From<Ending> for Fault {
    fn from(ending: Ending) -> Self {
        Self::End(ending)
    }
}

type Answer = Result<(), Fault>;

/// The world as one program sees it.
#[derive(Debug)]
pub(crate) struct Wasi {
    args: Vec<String>,
    stdin: Vec<u8>,
    stdin_at: usize,
    speaker: Speaker,
    clock: Clock,
    random: ChaCha20Rng,
    fs: Fs,
    fds: Descriptors,
    checkpoints: Checkpoints,
}

impl Wasi {
    /// `every` is the CPU time between two checkpoints, at least; `None` where nobody keeps them.
    pub(crate) fn new(
        args: Vec<String>,
        stdin: Vec<u8>,
        seed: u64,
        mut fs: Fs,
        every: Option<Duration>,
        speaker: Speaker,
    ) -> Self {
        let seed = blake3::derive_key("surge 2026-11 task random numbers v1", &seed.to_le_bytes());
        Self {
            args: std::iter::once(PROGRAM.to_owned()).chain(args).collect(),
            stdin,
            stdin_at: 0,
            speaker,
            clock: Clock::default(),
            random: ChaCha20Rng::from_seed(seed),
            fds: Descriptors::new(&mut fs),
            fs,
            checkpoints: Checkpoints::new(every),
        }
    }

    pub(crate) fn speaker(&mut self) -> &mut Speaker {
        &mut self.speaker
    }

    pub(crate) fn into_speaker(self) -> Speaker {
        self.speaker
    }
}

/// Declares the functions once: for the check of imports, and for the linker.
macro_rules! functions {
    ($($name:ident($($argument:ident: $kind:ident),*);)*) => {
        /// Name, parameters and results of every function, for the check of imports.
        pub(crate) const FUNCTIONS: &[(&str, &[ValType], &[ValType])] = &[
            $((stringify!($name), &[$(functions!(@type $kind)),*], &[ValType::I32]),)*
            ("proc_exit", &[ValType::I32], &[]),
        ];

        /// Makes every function available to a module.
        pub(crate) fn link(linker: &mut Linker<Host>) -> Result<(), wasmtime::Error> {
            $(linker.func_wrap(MODULE, stringify!($name), |mut caller: Caller<'_, Host>, $($argument: $kind),*| {
                call(&mut caller, |wasi, guest| wasi.$name(guest, $($argument),*))
            })?;)*
            linker.func_wrap(MODULE, "proc_exit", |status: u32| Err::<(), _>(wasmtime::Error::new(Ending::exit(status))))?;
            Ok(())
        }

        /// Calls the n-th function, all but `proc_exit`, on a memory without an engine. `draw` chooses the value of each
        /// argument by its name, and may write to the memory what it points to.
        #[cfg(any(test, feature = "fuzzing"))]
        pub(crate) fn call_nth(
            wasi: &mut Wasi,
            n: usize,
            memory: &mut [u8],
            mut draw: impl FnMut(&str, &mut [u8]) -> u64,
        ) -> Answer {
            let mut at = 0;
            $(if n == at {
                $(let $argument = draw(stringify!($argument), memory) as $kind;)*
                return wasi.$name(&mut Guest::new(memory), $($argument),*);
            }
            at += 1;)*
            panic!("there is no function {n} of {at}");
        }
    };
    (@type u32) => { ValType::I32 };
    (@type u64) => { ValType::I64 };
    (@type i64) => { ValType::I64 };
}

functions! {
    args_get(list: u32, text: u32);
    args_sizes_get(count: u32, size: u32);
    environ_get(list: u32, text: u32);
    environ_sizes_get(count: u32, size: u32);
    clock_res_get(clock: u32, out: u32);
    clock_time_get(clock: u32, precision: u64, out: u32);
    fd_advise(fd: u32, offset: u64, length: u64, advice: u32);
    fd_allocate(fd: u32, offset: u64, length: u64);
    fd_close(fd: u32);
    fd_datasync(fd: u32);
    fd_fdstat_get(fd: u32, out: u32);
    fd_fdstat_set_flags(fd: u32, flags: u32);
    fd_fdstat_set_rights(fd: u32, base: u64, inheriting: u64);
    fd_filestat_get(fd: u32, out: u32);
    fd_filestat_set_size(fd: u32, size: u64);
    fd_filestat_set_times(fd: u32, accessed: u64, modified: u64, which: u32);
    fd_pread(fd: u32, list: u32, count: u32, offset: u64, out: u32);
    fd_prestat_get(fd: u32, out: u32);
    fd_prestat_dir_name(fd: u32, text: u32, length: u32);
    fd_pwrite(fd: u32, list: u32, count: u32, offset: u64, out: u32);
    fd_read(fd: u32, list: u32, count: u32, out: u32);
    fd_readdir(fd: u32, text: u32, length: u32, cookie: u64, out: u32);
    fd_renumber(from: u32, to: u32);
    fd_seek(fd: u32, offset: i64, whence: u32, out: u32);
    fd_sync(fd: u32);
    fd_tell(fd: u32, out: u32);
    fd_write(fd: u32, list: u32, count: u32, out: u32);
    path_create_directory(fd: u32, path: u32, length: u32);
    path_filestat_get(fd: u32, lookup: u32, path: u32, length: u32, out: u32);
    path_filestat_set_times(fd: u32, lookup: u32, path: u32, length: u32, accessed: u64, modified: u64, which: u32);
    path_link(fd: u32, lookup: u32, path: u32, length: u32, new_fd: u32, new_path: u32, new_length: u32);
    path_open(fd: u32, lookup: u32, path: u32, length: u32, how: u32, base: u64, inheriting: u64, flags: u32, out: u32);
    path_readlink(fd: u32, path: u32, length: u32, text: u32, text_length: u32, out: u32);
    path_remove_directory(fd: u32, path: u32, length: u32);
    path_rename(fd: u32, path: u32, length: u32, new_fd: u32, new_path: u32, new_length: u32);
    path_symlink(target: u32, target_length: u32, fd: u32, path: u32, length: u32);
    path_unlink_file(fd: u32, path: u32, length: u32);
    poll_oneoff(subscriptions: u32, events: u32, count: u32, out: u32);
    proc_raise(signal: u32);
    sched_yield();
    random_get(at: u32, length: u32);
    sock_accept(fd: u32, flags: u32, out: u32);
    sock_recv(fd: u32, list: u32, count: u32, flags: u32, out: u32, out_flags: u32);
    sock_send(fd: u32, list: u32, count: u32, flags: u32, out: u32);
    sock_shutdown(fd: u32, how: u32);
}

/// One host call: the memory is looked up, the function runs, the work is charged.
fn call(
    caller: &mut Caller<'_, Host>,
    function: impl FnOnce(&mut Wasi, &mut Guest<'_>) -> Answer,
) -> Result<u32, wasmtime::Error> {
    // Only the start section can get here before the memory is known.
    let memory = match caller.data().memory {
        Some(memory) => memory,
        None => match caller.get_export("memory") {
            Some(Extern::Memory(memory)) => memory,
            _ => return Err(Ending::invalid("no_memory", "it exports no memory named `memory`").into()),
        },
    };
    let (bytes, host) = memory.data_and_store_mut(&mut *caller);
    let mut guest = Guest::new(bytes);
    let answer = function(&mut host.wasi, &mut guest);
    let (price, tank) = (FUEL_PER_CALL + guest.touched(), host.tank);
    // Without this, a program could have the host work for it and not pay.
    if let Some(tank) = tank {
        tank.charge(&mut *caller, price)?;
    }
    match answer {
        Ok(()) => Ok(0),
        Err(Fault::Errno(errno)) => Ok(errno as u32),
        Err(Fault::End(ending)) => Err(ending.into()),
    }
}

/// What needs neither files nor clocks.
impl Wasi {
    fn args_get(&mut self, guest: &mut Guest<'_>, mut list: u32, mut text: u32) -> Answer {
        guest.check(list, self.arg_count().checked_mul(4).ok_or(Errno::Fault)?)?;
        guest.check(text, self.arg_bytes())?;
        for arg in &self.args {
            guest.write_u32(list, text)?;
            guest.write(text, arg.as_bytes())?;
            // Every C string ends with a NUL.
            let end = text.checked_add(length_of(arg)).ok_or(Errno::Fault)?;
            guest.write(end, &[0])?;
            // One past the last may be one past the memory.
            (list, text) = (list.wrapping_add(4), end.wrapping_add(1));
        }
        Ok(())
    }

    fn args_sizes_get(&mut self, guest: &mut Guest<'_>, count: u32, size: u32) -> Answer {
        guest.check(count, 4)?;
        guest.check(size, 4)?;
        guest.write_u32(count, self.arg_count())?;
        Ok(guest.write_u32(size, self.arg_bytes())?)
    }

    fn arg_count(&self) -> u32 {
        u32::try_from(self.args.len()).unwrap_or(u32::MAX)
    }

    /// All arguments, each with its NUL.
    fn arg_bytes(&self) -> u32 {
        self.args.iter().map(|arg| length_of(arg) + 1).sum()
    }

    fn environ_get(&mut self, _: &mut Guest<'_>, _list: u32, _text: u32) -> Answer {
        Ok(())
    }

    fn environ_sizes_get(&mut self, guest: &mut Guest<'_>, count: u32, size: u32) -> Answer {
        guest.check(count, 4)?;
        guest.check(size, 4)?;
        guest.write_u32(count, 0)?;
        Ok(guest.write_u32(size, 0)?)
    }

    fn proc_raise(&mut self, _: &mut Guest<'_>, _signal: u32) -> Answer {
        Err(Errno::NotSupported.into())
    }

    fn sched_yield(&mut self, _: &mut Guest<'_>) -> Answer {
        Ok(())
    }

    fn random_get(&mut self, guest: &mut Guest<'_>, at: u32, length: u32) -> Answer {
        self.random.fill_bytes(guest.slice_mut(at, length)?);
        Ok(())
    }

    fn sock_accept(&mut self, _: &mut Guest<'_>, fd: u32, _flags: u32, _out: u32) -> Answer {
        self.no_sockets(fd)
    }

    #[expect(clippy::too_many_arguments, reason = "the signature is WASI's")]
    fn sock_recv(
        &mut self,
        _: &mut Guest<'_>,
        fd: u32,
        _list: u32,
        _count: u32,
        _flags: u32,
        _out: u32,
        _out_flags: u32,
    ) -> Answer {
        self.no_sockets(fd)
    }

    fn sock_send(&mut self, _: &mut Guest<'_>, fd: u32, _list: u32, _count: u32, _flags: u32, _out: u32) -> Answer {
        self.no_sockets(fd)
    }

    fn sock_shutdown(&mut self, _: &mut Guest<'_>, fd: u32, _how: u32) -> Answer {
        self.no_sockets(fd)
    }

    fn no_sockets(&self, fd: u32) -> Answer {
        self.fds.get(fd)?;
        Err(Errno::NotSupported.into())
    }
}

/// Arguments are capped far below 4 GiB when the task is read.
fn length_of(arg: &str) -> u32 {
    u32::try_from(arg.len()).unwrap_or(u32::MAX - 1)
}

#[cfg(test)]
mod tests;
