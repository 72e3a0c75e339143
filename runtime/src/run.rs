//! Runs one task: check, compile, instantiate, call `_start`, and say how it ended.
//!
//! Deliberately absent: the conversation with the supervisor, and the clock that ends a task which computes too long.

use std::borrow::Cow;
use std::fs::File;
use std::time::Duration;

use surge_protocol::frame::{FromWorker, MAX_COMPILED, Program, TaskStart};
use surge_protocol::task::Meter;
use wasmtime::{
    Engine, Error, Extern, ExternType, Instance, Linker, Memory, Module, ResourceLimiter, Store, Trap, WasmBacktrace,
};

use crate::check::{self, TABLE_ELEMENTS};
use crate::ending::Ending;
use crate::fs::Fs;
use crate::fuel::Tank;
use crate::speaker::Speaker;
use crate::wasi::{self, Clock, Wasi};
use crate::{engine, lockdown, meter};

/// The most that the arguments of a task may take, bytes.
const ARGUMENT_BYTES: u64 = 1 << 20;

/// A task with all that it needs.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) start: TaskStart,
    /// A module, or compiled code, as `start.program` says.
    pub(crate) program: Vec<u8>,
    pub(crate) stdin: Vec<u8>,
    /// The image of `/state` to go on from; empty at the beginning.
    pub(crate) state: Vec<u8>,
    /// Open descriptors of `start.data`, in its order.
    pub(crate) data: Vec<File>,
}

/// What a task used.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Spent {
    pub(crate) fuel: u64,
    pub(crate) peak_memory_bytes: u64,
}

/// What host functions and limits can reach while the program runs.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) wasi: Wasi,
    /// Known once the module is instantiated.
    pub(crate) memory: Option<Memory>,
    /// Where work is metered.
    pub(crate) tank: Option<Tank>,
    room: Room,
}

/// Runs `work`, and gives back the way to the supervisor.
pub(crate) fn run(work: Work, mut speaker: Speaker) -> (Ending, Spent, Speaker) {
    match prepare(&work, &mut speaker) {
        Ok((engine, module)) => execute(&engine, &module, work, speaker),
        Err(ending) => (ending, Spent::default(), speaker),
    }
}

/// Turns bytes into machine code. From then on no memory of this process becomes executable.
fn prepare(work: &Work, speaker: &mut Speaker) -> Result<(Engine, Module), Ending> {
    check_arguments(&work.start.args)?;
    if let Program::Module { .. } = work.start.program {
        check::check(&work.program, &work.start.limits)?;
    }
    let engine = engine::engine().map_err(|error| Ending::host("engine", format!("{error:#}")))?;
    let module = match work.start.program {
        Program::Module { keep } => {
            let code = match work.start.meter {
                Meter::None => Cow::Borrowed(&work.program),
                Meter::Fuel { .. } => meter::metered(&work.program).map(Cow::Owned).map_err(|error| {
                    Ending::invalid("malformed", format!("{} (at byte {})", error.message(), error.offset()))
                })?,
            };
            let module = Module::new(&engine, code.as_slice())
                .map_err(|error| Ending::invalid("compile", format!("it can't be compiled: {error:#}")))?;
            if keep {
                offer(&module, speaker)?;
            }
            module
        }
        Program::Compiled => load(&engine, work)?,
    };
    lockdown::forbid_new_code().map_err(|error| Ending::host("lockdown", error.to_string()))?;
    Ok((engine, module))
}

/// Gives the compiled code to the supervisor, which keeps it where no worker can reach it.
fn offer(module: &Module, speaker: &mut Speaker) -> Result<(), Ending> {
    let code = module.serialize().map_err(|error| Ending::host("engine", format!("{error:#}")))?;
    if code.len() as u64 > MAX_COMPILED {
        return Ok(());
    }
    speaker.parts(&code, FromWorker::Compiled)
}

/// Takes compiled code as it is. What depends on the task and not on the module is checked here, since the code may
/// have been compiled for another task.
fn load(engine: &Engine, work: &Work) -> Result<Module, Ending> {
    let module = deserialize(engine, &work.program)
        .map_err(|error| Ending::host("engine", format!("the compiled code is of no use here: {error:#}")))?;
    match module.get_export("memory").as_ref().and_then(ExternType::memory) {
        Some(memory) => check::memory_fits(memory.minimum(), &work.start.limits)?,
        None => return Err(Ending::host("engine", "the compiled code has no memory")),
    }
    Ok(module)
}

#[expect(unsafe_code, reason = "machine code can't be checked")]
fn deserialize(engine: &Engine, code: &[u8]) -> Result<Module, Error> {
    // SAFETY: the supervisor sends what a worker of this class compiled from a checked module, and it has kept it under
    // a key that no worker has. Were it anything else, it would meet the same locked-down process as a program
    // that broke out of the engine.
    unsafe { Module::deserialize(engine, code) }
}

pub(crate) fn check_arguments(args: &[String]) -> Result<(), Ending> {
    // Each takes a NUL and a pointer besides its text.
    let bytes = args.iter().map(|arg| arg.len() as u64 + 5).sum();
    if bytes > ARGUMENT_BYTES {
        return Err(Ending::too_large("argument bytes", bytes, ARGUMENT_BYTES));
    }
    match args.iter().position(|arg| arg.contains('\0')) {
        Some(n) => Err(Ending::invalid("args", format!("argument {} holds a NUL", n + 1))),
        None => Ok(()),
    }
}

fn execute(engine: &Engine, module: &Module, work: Work, speaker: Speaker) -> (Ending, Spent, Speaker) {
    let Work { start, program, stdin, state, data } = work;
    // It may be large, and the task will run for long.
    drop(program);
    let mounts = start.data.into_iter().zip(data).map(|(mount, file)| (mount.name, file, mount.size));
    let mut fs = Fs::new(mounts.collect(), start.limits.files_bytes, Clock::default().now());
    if !state.is_empty()
        && let Err(error) = fs.restore_state(&state)
    {
        return (Ending::host("checkpoint", error.to_string()), Spent::default(), speaker);
    }
    drop(state);
    let every = start.checkpoint_every_ms.map(Duration::from_millis);
    let budget = match start.meter {
        Meter::None => None,
        Meter::Fuel { budget } => Some(budget),
    };
    let host = Host {
        wasi: Wasi::new(start.args, stdin, start.seed, fs, every, speaker),
        memory: None,
        tank: None,
        room: Room { memory: start.limits.memory_bytes, peak: 0, tables: 0 },
    };
    let mut store = Store::new(engine, host);
    store.limiter(|host| &mut host.room);
    let ended = start_program(&mut store, module, budget);
    let tank = store.data().tank;
    let ending = match ended {
        Ok(()) => Ending::exit(0),
        // Whatever it trapped by: a program without fuel gets no further.
        Err(_) if tank.is_some_and(|tank| tank.is_empty(&mut store)) => Ending::trap(Trap::OutOfFuel, ""),
        Err(error) => ending_of(&error),
    };
    let fuel = tank.map_or(0, |tank| tank.used(&mut store));
    let host = store.into_data();
    (ending, Spent { fuel, peak_memory_bytes: host.room.peak }, host.wasi.into_speaker())
}

fn start_program(store: &mut Store<Host>, module: &Module, budget: Option<u64>) -> Result<(), Error> {
    let mut linker = Linker::new(store.engine());
    wasi::link(&mut linker)?;
    store.data_mut().wasi.speaker().say(&FromWorker::Started)?;
    let instance = linker.instantiate(&mut *store, module)?;
    if let Some(budget) = budget {
        fill(store, &instance, budget)?;
    }
    let memory = match instance.get_export(&mut *store, "memory") {
        Some(Extern::Memory(memory)) => memory,
        _ => return Err(Ending::invalid("no_memory", "it exports no memory named `memory`").into()),
    };
    store.data_mut().memory = Some(memory);
    instance.get_typed_func::<(), ()>(&mut *store, "_start")?.call(&mut *store, ())
}

/// Gives a metered program its fuel, and runs what was its start section.
fn fill(store: &mut Store<Host>, instance: &Instance, budget: u64) -> Result<(), Error> {
    let left = instance
        .get_global(&mut *store, meter::LEFT)
        .ok_or_else(|| Ending::host("engine", "the compiled code has no meter"))?;
    store.data_mut().tank = Some(Tank::fill(&mut *store, left, budget)?);
    match instance.get_func(&mut *store, meter::START) {
        Some(start) => start.typed::<(), ()>(&*store)?.call(&mut *store, ()),
        None => Ok(()),
    }
}

/// What an error of the engine says about the program.
fn ending_of(error: &Error) -> Ending {
    if let Some(ending) = error.downcast_ref::<Ending>() {
        return ending.clone();
    }
    if let Some(&trap) = error.downcast_ref::<Trap>() {
        return Ending::trap(trap, &site(error));
    }
    Ending::host("engine", format!("{error:#}"))
}

/// In which function it happened, as far as the module has names.
fn site(error: &Error) -> String {
    let frames = error.downcast_ref::<WasmBacktrace>().map_or(&[][..], WasmBacktrace::frames);
    match frames.first() {
        Some(frame) => match frame.func_name() {
            Some(name) => format!(" in {name}"),
            None => format!(" in function {}", frame.func_index()),
        },
        None => String::new(),
    }
}

/// How far the program's memory and tables may still grow.
#[derive(Debug)]
struct Room {
    /// The largest linear memory, bytes.
    memory: u64,
    peak: u64,
    /// Elements of all tables.
    tables: u64,
}

impl ResourceLimiter for Room {
    fn memory_growing(&mut self, _current: usize, desired: usize, maximum: Option<usize>) -> Result<bool, Error> {
        let desired = desired as u64;
        let fits = desired <= self.memory && maximum.is_none_or(|maximum| desired <= maximum as u64);
        if fits {
            self.peak = self.peak.max(desired);
        }
        Ok(fits)
    }

    /// Beyond what its type allows, a memory does not grow. Within its limit it grows on every machine, or the host
    /// has failed: an answer of -1 would be a result that depends on the machine.
    fn memory_grow_failed(&mut self, error: Error) -> Result<(), Error> {
        if error.is::<rustix::io::Errno>() || error.is::<std::io::Error>() {
            return Err(Ending::host("memory", format!("the host has no memory for the task: {error:#}")).into());
        }
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool, Error> {
        let total = self.tables - (current as u64).min(self.tables) + desired as u64;
        let fits = total <= TABLE_ELEMENTS && maximum.is_none_or(|maximum| desired <= maximum);
        if fits {
            self.tables = total;
        }
        Ok(fits)
    }
}
