//! A module as a stranger sends it: the check answers for everything, in memory that is bounded by the module's size, and
//! what it lets through can be compiled.
//!
//! Bytes at random are rarely a module, so half of the inputs are made otherwise: generated whole, or by a change
//! inside one section or function of a module, with the lengths around it set right.

#![no_main]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use libfuzzer_sys::arbitrary::Unstructured;
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

/// Bytes that the check may take besides 100 for each of the module's: its tables of a fixed size.
const CHECK_BASE: usize = 32 << 20;
/// Bytes that the compiler may take for what the check lets through. Ten times what the largest real job takes.
const COMPILE_MOST: usize = 1 << 30;

#[global_allocator]
static MEMORY: Counting = Counting { now: AtomicUsize::new(0), peak: AtomicUsize::new(0) };

fuzz_target!(|module: &[u8]| {
    let (accepted, taken) = MEMORY.peak_of(|| surge_runtime::fuzzing::check(module));
    assert!(taken <= CHECK_BASE + 100 * module.len(), "the check of {} bytes took {taken} bytes", module.len());
    if accepted {
        let ((), taken) = MEMORY.peak_of(|| surge_runtime::fuzzing::compile(module));
        assert!(taken <= COMPILE_MOST, "compiling {} bytes took {taken} bytes", module.len());
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, most: usize, seed: u32| {
    let made = match seed % 8 {
        0 | 1 => generated(&data[..size], seed),
        2..=4 => changed_within(&data[..size], most, seed),
        _ => None,
    };
    match made {
        Some(module) if module.len() <= most => {
            data[..module.len()].copy_from_slice(&module);
            module.len()
        }
        _ => fuzzer_mutate(data, size, most),
    }
});

/// What a generated module imports, exports and may use: that of a command.
static SHAPE: LazyLock<wasm_smith::Config> = LazyLock::new(|| {
    let text = |text| wat::parse_str(text).expect("a module");
    wasm_smith::Config {
        exports: Some(text(r#"(module (memory (export "memory") 1) (func (export "_start")))"#)),
        available_imports: Some(text(
            r#"(module
                (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
                (import "wasi_snapshot_preview1" "fd_seek" (func (param i32 i64 i32 i32) (result i32)))
                (import "wasi_snapshot_preview1" "proc_exit" (func (param i32))))"#,
        )),
        max_memories: 1,
        max_tables: 4,
        max_funcs: 40,
        max_memory32_bytes: 1 << 28,
        threads_enabled: false,
        shared_everything_threads_enabled: false,
        memory64_enabled: false,
        custom_page_sizes_enabled: false,
        wide_arithmetic_enabled: false,
        relaxed_simd_enabled: false,
        exceptions_enabled: false,
        gc_enabled: false,
        tail_call_enabled: true,
        simd_enabled: true,
        ..wasm_smith::Config::default()
    }
});

/// A whole module from what is there and as much chance as it needs.
fn generated(data: &[u8], seed: u32) -> Option<Vec<u8>> {
    let mut chance = u64::from(seed) | 1 << 40;
    let noise = std::iter::repeat_with(|| {
        chance ^= chance << 13;
        chance ^= chance >> 7;
        chance ^= chance << 17;
        chance as u8
    });
    // The end of the bytes decides first.
    let bytes: Vec<u8> = data.iter().copied().chain(noise).take(data.len().max(4_096)).collect();
    let module = wasm_smith::Module::new(SHAPE.clone(), &mut Unstructured::new(&bytes));
    module.ok().map(|module| module.to_bytes())
}

/// Changes the contents of one section, or of one function, and says their new length where the old one stood.
fn changed_within(module: &[u8], most: usize, seed: u32) -> Option<Vec<u8>> {
    let mut at = 8;
    let mut sections = Vec::new();
    while at < module.len() {
        let (length, start) = leb(module, at + 1)?;
        let end = start.checked_add(length).filter(|&end| end <= module.len())?;
        sections.push((at, start, end));
        at = end;
    }
    let &(at, start, end) = sections.get(seed as usize / 8 % sections.len().max(1))?;
    let section = &module[start..end];
    let contents = if module[at] == CODE && seed & 1 << 20 != 0 {
        changed_function(section, most, seed)?
    } else {
        mutated(section, most)
    };
    Some([&module[..=at], &lebs(contents.len()), &contents, &module[end..]].concat())
}

const CODE: u8 = 10;

fn changed_function(code: &[u8], most: usize, seed: u32) -> Option<Vec<u8>> {
    let (count, mut at) = leb(code, 0)?;
    let wanted = (seed >> 21) as usize % count.max(1);
    for n in 0..count {
        let (length, start) = leb(code, at)?;
        let end = start.checked_add(length).filter(|&end| end <= code.len())?;
        if n == wanted {
            let body = mutated(&code[start..end], most);
            return Some([&code[..at], &lebs(body.len()), &body, &code[end..]].concat());
        }
        at = end;
    }
    None
}

fn mutated(bytes: &[u8], most: usize) -> Vec<u8> {
    let room = (bytes.len() * 2 + 64).min(most);
    let mut buffer = bytes.to_vec();
    buffer.resize(room.max(bytes.len()), 0);
    let length = fuzzer_mutate(&mut buffer, bytes.len(), room.max(bytes.len()));
    buffer.truncate(length);
    buffer
}

/// A number and where it ends.
fn leb(bytes: &[u8], mut at: usize) -> Option<(usize, usize)> {
    let (mut value, mut shift) = (0, 0);
    loop {
        let byte = *bytes.get(at)?;
        at += 1;
        value |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some((value, at));
        }
        shift += 7;
        if shift > 28 {
            return None;
        }
    }
}

fn lebs(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// The system's allocator, counting what is taken.
struct Counting {
    now: AtomicUsize,
    peak: AtomicUsize,
}

impl Counting {
    /// What `work` returns, and the most memory that was taken at once meanwhile.
    fn peak_of<T>(&self, work: impl FnOnce() -> T) -> (T, usize) {
        let before = self.now.load(Relaxed);
        self.peak.store(before, Relaxed);
        let done = work();
        (done, self.peak.load(Relaxed) - before)
    }

    fn took(&self, bytes: usize) {
        let now = self.now.fetch_add(bytes, Relaxed) + bytes;
        self.peak.fetch_max(now, Relaxed);
    }
}

// SAFETY: every call is the system allocator's own; counting touches no memory that it hands out.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.took(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        self.now.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}
