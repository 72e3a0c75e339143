//! The WASM engine with the one set of settings that every node uses, and the name of what it computes with.
//!
//! Deliberately absent: choices. A setting that could change a result is part of the runtime class, and results are
//! compared within a class only.

use wasmparser::WasmFeatures;
use wasmtime::{Config, Engine, Error, OptLevel, Strategy};

use crate::isa::Level;
use crate::{meter, wasi};

/// The engine's version; a test compares it with what was linked.
const VERSION: &str = "wasmtime-48.0.8";
/// Native stack of the program, bytes. Where it ends depends on the machine: stack overflow never votes.
const WASM_STACK: usize = 4 << 20;
/// Native stack of the thread that compiles and runs: the program's, and room for the compiler and the host functions.
pub(crate) const THREAD_STACK: usize = WASM_STACK + (4 << 20);

/// The WASM that tasks are made of: what the large compilers emit for `wasm32-wasip1` by default, and nothing that
/// would make a result depend on the machine (threads, relaxed SIMD) or on a garbage collector.
pub(crate) const FEATURES: WasmFeatures = WasmFeatures::MUTABLE_GLOBAL
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::REFERENCE_TYPES)
    .union(WasmFeatures::BULK_MEMORY)
    .union(WasmFeatures::SIMD)
    .union(WasmFeatures::TAIL_CALL)
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::FLOATS);

/// Settings that could change a result or a fuel count, hashed into the runtime class in this form.
///
/// NaN bits are not canonicalised: that costs up to three times the speed of floating-point code, and within a class
/// the same code runs, so that they come out the same (`docs/decisions/0011-nan-bits.md`).
const PROFILE: [(&str, u64); 9] = [
    ("opt_level_speed", 1),
    ("nan_canonicalization", 0),
    ("wasm_features", FEATURES.bits()),
    ("wasm_stack", WASM_STACK as u64),
    ("clock_start_s", wasi::CLOCK_START_S),
    ("clock_step_ns", wasi::CLOCK_STEP_NS),
    ("meter", meter::METER_VERSION),
    ("fuel_per_host_call", wasi::FUEL_PER_CALL),
    ("shim", wasi::SHIM_VERSION),
];

/// An engine for one task.
///
/// # Errors
/// When the system refuses what the engine needs.
pub(crate) fn engine() -> Result<Engine, Error> {
    let mut config = Config::new();
    config
        .strategy(Strategy::Cranelift)
        .cranelift_opt_level(OptLevel::Speed)
        .cranelift_nan_canonicalization(false)
        .wasm_features(WasmFeatures::all().difference(FEATURES), false)
        .wasm_features(FEATURES, true)
        // Metered modules count by themselves, at a fraction of the cost.
        .consume_fuel(false)
        // The supervisor suspends and kills the process: nothing has to be interrupted from inside.
        .epoch_interruption(false)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(THREAD_STACK)
        // A memory that never moves can grow without a copy, and every access is checked by the page tables.
        .memory_reservation(4 << 30)
        .memory_may_move(false)
        // It would map data from a file in memory, and a locked-down process opens no file. One copy is made either way.
        .memory_init_cow(false);
    Level::of_this_machine().apply(&mut config);
    Engine::new(&config)
}

/// Engine version, instruction set and settings in a short text: `wasmtime-48.0.8/x86-64-v3/1a2b3c4d`.
#[must_use]
pub fn runtime_class() -> String {
    let mut hasher = blake3::Hasher::new_derive_key("surge 2026-11 runtime settings v1");
    for (name, value) in PROFILE {
        hasher.update(name.as_bytes()).update(&[0]).update(&value.to_le_bytes());
    }
    let hash = hasher.finalize().to_hex();
    format!("{VERSION}/{}/{}", Level::of_this_machine().name, &hash[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_class_names_the_linked_engine() {
        let lock = include_str!("../../Cargo.lock");
        let version = VERSION.strip_prefix("wasmtime-").unwrap();
        assert!(
            lock.contains(&format!("name = \"wasmtime\"\nversion = \"{version}\"\n")),
            "{VERSION} is not in Cargo.lock"
        );
    }

    #[test]
    fn the_class_is_short_and_plain() {
        let class = runtime_class();
        assert!(class.len() <= 100 && class.bytes().all(|b| b.is_ascii_graphic()), "{class}");
        assert_eq!(class, runtime_class());
    }

    #[test]
    fn the_engine_starts() {
        engine().unwrap();
    }
}
