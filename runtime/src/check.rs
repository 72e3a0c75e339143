//! Refuses what must not reach the compiler: everything that is not a WASI preview-1 command of bounded size.
//!
//! Deliberately absent: repair. Each refusal names the rule and the value. The bounds are far above what compilers
//! emit for real programs and far below what makes a compiler slow: each of them closes a way to build a bomb.

mod carried;
mod code;

use surge_protocol::task::Limits;
use wasmparser::{
    BinaryReaderError, CompositeInnerType, Encoding, ExternalKind, FuncType, FuncValidatorAllocations, MemoryType,
    Parser, Payload, TableInit, TypeRef, ValidPayload, Validator, WasmFeatures,
};

use crate::ending::Ending;
use crate::engine::FEATURES;
use crate::wasi;

/// The largest module.
pub(crate) const MODULE_BYTES: u64 = 32 << 20;
const TYPES: u64 = 20_000;
const PARAMETERS: u64 = 255;
const RESULTS: u64 = 32;
const IMPORTS: u64 = 1_000;
const FUNCTIONS: u64 = 65_536;
const GLOBALS: u64 = 10_000;
const EXPORTS: u64 = 65_536;
const TABLES: u64 = 8;
/// Elements of all tables together, also when they grow.
pub(crate) const TABLE_ELEMENTS: u64 = 1 << 20;
const ELEMENT_SEGMENTS: u64 = 65_536;
const DATA_SEGMENTS: u64 = 100_000;
const PAGE: u64 = 65_536;

/// Checks a module before it is compiled.
///
/// # Errors
/// `invalid` with a code and the rule, or `limit` / `memory` for a module that asks for more than its task may have.
pub(crate) fn check(module: &[u8], limits: &Limits) -> Result<(), Ending> {
    match module {
        [b'\0', b'a', b's', b'm', ..] => {}
        _ => return Err(Ending::invalid("not_wasm", format!("it is not a WASM module but {}", looks_like(module)))),
    }
    let mut checker = Checker::new(limits, FEATURES);
    let checked = checker.module(module).and_then(|()| checker.is_command());
    match checked {
        Ok(()) => Ok(()),
        Err(Refusal::Rule(ending)) => Err(ending),
        Err(Refusal::Malformed(error)) => Err(malformed(module, limits, &error)),
    }
}

/// A module that newer rules would accept needs a feature that tasks may not use; any other is broken. The same bounds
/// hold for this second look.
fn malformed(module: &[u8], limits: &Limits, error: &BinaryReaderError) -> Ending {
    let detail = format!("{} (at byte {})", error.message(), error.offset());
    match Checker::new(limits, WasmFeatures::all()).module(module) {
        Ok(()) => Ending::invalid("feature", format!("it uses WASM that tasks may not use: {detail}")),
        Err(Refusal::Rule(ending)) => ending,
        Err(Refusal::Malformed(_)) => Ending::invalid("malformed", detail),
    }
}

fn looks_like(module: &[u8]) -> &'static str {
    match module {
        [] => "empty",
        [0x7f, b'E', b'L', b'F', ..] => "an ELF file (a program for one kind of machine, or precompiled WASM)",
        [b'M', b'Z', ..] => "a Windows program",
        [b'P', b'K', ..] => "a ZIP archive",
        [0x1f, 0x8b, ..] => "gzip data",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "Zstandard data",
        text if text.trim_ascii_start().starts_with(b"(module") => "WASM in text form: assemble it first (wat2wasm)",
        _ => "something else",
    }
}

enum Refusal {
    Rule(Ending),
    Malformed(BinaryReaderError),
}

impl From<Ending> for Refusal {
    fn from(ending: Ending) -> Self {
        Self::Rule(ending)
    }
}

impl From<BinaryReaderError> for Refusal {
    fn from(error: BinaryReaderError) -> Self {
        Self::Malformed(error)
    }
}

/// What one pass over a module collects.
struct Checker<'a> {
    limits: &'a Limits,
    validator: Validator,
    types: Vec<Option<FuncType>>,
    /// Type of each function, imported ones first.
    functions: Vec<u32>,
    table_elements: u64,
    memories: u64,
    exports_memory: bool,
    start: Option<u32>,
    allocations: FuncValidatorAllocations,
}

impl<'a> Checker<'a> {
    fn new(limits: &'a Limits, features: WasmFeatures) -> Self {
        Self {
            limits,
            validator: Validator::new_with_features(features),
            types: Vec::new(),
            functions: Vec::new(),
            table_elements: 0,
            memories: 0,
            exports_memory: false,
            start: None,
            allocations: FuncValidatorAllocations::default(),
        }
    }

    /// Counts come before the validator sees a section, so that nothing is built of what is refused.
    fn module(&mut self, module: &[u8]) -> Result<(), Refusal> {
        for payload in Parser::new(0).parse_all(module) {
            let payload = payload?;
            self.section(&payload)?;
            if let ValidPayload::Func(function, body) = self.validator.payload(&payload)? {
                let allocations = std::mem::take(&mut self.allocations);
                self.allocations = code::check(function.into_validator(allocations), &body)?;
            }
        }
        Ok(())
    }

    fn section(&mut self, payload: &Payload<'_>) -> Result<(), Refusal> {
        match payload {
            Payload::Version { encoding: Encoding::Component, .. } => {
                Err(Ending::invalid("feature", "it is a component: tasks are core modules (wasm32-wasip1)").into())
            }
            Payload::TypeSection(types) => {
                bound("types", types.count(), TYPES)?;
                types.clone().into_iter().try_for_each(|group| self.types_of(&group?))
            }
            Payload::ImportSection(imports) => {
                bound("imports", imports.count(), IMPORTS)?;
                imports.clone().into_imports().try_for_each(|import| self.import(&import?))
            }
            Payload::FunctionSection(functions) => {
                bound("functions", functions.count(), FUNCTIONS)?;
                for index in functions.clone() {
                    self.functions.push(index?);
                }
                Ok(())
            }
            Payload::TableSection(tables) => {
                bound("tables", tables.count(), TABLES)?;
                tables.clone().into_iter().try_for_each(|table| {
                    let table = table?;
                    if !matches!(table.init, TableInit::RefNull) {
                        return Err(Ending::invalid("feature", "it has a table with an initial value").into());
                    }
                    self.table_elements = self.table_elements.saturating_add(table.ty.initial);
                    Ok(bound("table elements", self.table_elements, TABLE_ELEMENTS)?)
                })
            }
            Payload::MemorySection(memories) => {
                memories.clone().into_iter().try_for_each(|memory| self.memory(memory?))
            }
            Payload::GlobalSection(globals) => Ok(bound("globals", globals.count(), GLOBALS)?),
            Payload::ElementSection(segments) => Ok(bound("element segments", segments.count(), ELEMENT_SEGMENTS)?),
            Payload::DataSection(segments) => Ok(bound("data segments", segments.count(), DATA_SEGMENTS)?),
            Payload::ExportSection(exports) => {
                bound("exports", exports.count(), EXPORTS)?;
                exports.clone().into_iter().try_for_each(|export| {
                    let export = export?;
                    match (export.name, export.kind) {
                        ("memory", ExternalKind::Memory) => self.exports_memory = true,
                        ("_start", ExternalKind::Func) => self.start = Some(export.index),
                        _ => {}
                    }
                    Ok(())
                })
            }
            _ => Ok(()),
        }
    }

    fn types_of(&mut self, group: &wasmparser::RecGroup) -> Result<(), Refusal> {
        for sub in group.types() {
            let CompositeInnerType::Func(function) = &sub.composite_type.inner else {
                // A garbage-collected type: the validator refuses it in a moment.
                self.types.push(None);
                continue;
            };
            bound("parameters of a type", function.params().len() as u64, PARAMETERS)?;
            bound("results of a type", function.results().len() as u64, RESULTS)?;
            self.types.push(Some(function.clone()));
        }
        Ok(())
    }

    fn import(&mut self, import: &wasmparser::Import<'_>) -> Result<(), Refusal> {
        let name = format!("{}.{}", import.module, import.name);
        let refuse = |why: &str| Err(Ending::invalid("import", format!("it imports {name}, {why}")).into());
        let TypeRef::Func(index) = import.ty else {
            return refuse("which is not a function: a task has its own memory, tables and globals");
        };
        if import.module != wasi::MODULE {
            return refuse("and nothing but WASI preview 1 (wasi_snapshot_preview1) is there");
        }
        let Some((_, parameters, results)) = wasi::FUNCTIONS.iter().find(|(known, ..)| *known == import.name) else {
            return refuse("which WASI preview 1 does not have");
        };
        let Some(Some(ty)) = self.types.get(index as usize) else {
            return refuse("by a type that it does not define");
        };
        if ty.params() != *parameters || ty.results() != *results {
            return refuse("by another signature than that function has");
        }
        self.functions.push(index);
        Ok(())
    }

    fn memory(&mut self, memory: MemoryType) -> Result<(), Refusal> {
        self.memories += 1;
        let refuse = |what| Err(Ending::invalid("feature", format!("it has {what}")).into());
        match memory {
            _ if self.memories > 1 => return refuse("more than one memory"),
            MemoryType { memory64: true, .. } => return refuse("a 64-bit memory"),
            MemoryType { shared: true, .. } => return refuse("a memory that threads share"),
            MemoryType { page_size_log2: Some(_), .. } => return refuse("a memory with pages of another size"),
            _ => {}
        }
        Ok(memory_fits(memory.initial, self.limits)?)
    }

    fn is_command(&self) -> Result<(), Refusal> {
        if !self.exports_memory {
            return Err(Ending::invalid("no_memory", "it exports no memory named `memory`").into());
        }
        let Some(start) = self.start else {
            let detail = "it exports no function `_start`: build it as a program, not as a library";
            return Err(Ending::invalid("no_start", detail).into());
        };
        let ty =
            self.functions.get(start as usize).and_then(|&ty| self.types.get(ty as usize)).and_then(Option::as_ref);
        match ty {
            Some(ty) if ty.params().is_empty() && ty.results().is_empty() => Ok(()),
            _ => Err(Ending::invalid("no_start", "its `_start` takes parameters or returns results").into()),
        }
    }
}

/// Whether a task may have so many pages from the start.
///
/// # Errors
/// `limit` / `memory` with both figures.
pub(crate) fn memory_fits(pages: u64, limits: &Limits) -> Result<(), Ending> {
    let (asked, allowed) = (pages.saturating_mul(PAGE), limits.memory_bytes);
    if asked > allowed {
        let detail = format!("it asks for {asked} bytes of memory, and the task allows {allowed}");
        return Err(Ending::limit("memory", detail));
    }
    Ok(())
}

fn bound(rule: &str, value: impl Into<u64>, most: u64) -> Result<(), Ending> {
    let value = value.into();
    if value > most { Err(Ending::too_large(rule, value, most)) } else { Ok(()) }
}
