//! Has a module count its own work: rewrites it, before it is compiled, so that it uses up fuel and traps without.
//!
//! The engine can count by itself, at up to twice the running time: its check calls a function out of the middle of
//! every loop. Here a block of code is charged for as a whole where it is entered, little branches are charged for
//! whether they are taken or not, and running out of fuel jumps to the end of the function
//! (`docs/decisions/0012-the-module-counts.md`). What is charged depends on the module and its input alone.
//!
//! Deliberately absent: validation, which came before and comes again with compilation.

mod binary;
mod points;
mod weave;

use std::ops::Range;

use wasmparser::{BinaryReaderError, ExternalKind, FuncType, FunctionBody, Parser, Payload, ValType};

use binary::{unsigned, value_type};

/// Raised with every change that could change a count.
pub(crate) const METER_VERSION: u64 = 1;
/// The global that holds what is left. No export of the program is in the way: only those that have a use are kept.
pub(crate) const LEFT: &str = "surge:left";
/// What was the start section: it must not run before there is fuel.
pub(crate) const START: &str = "surge:start";
/// What is left when there was not enough. No count gets there.
pub(crate) const EXHAUSTED: i64 = i64::MIN;
/// The largest budget that makes a difference: a machine would need a century for it.
pub(crate) const MOST: u64 = 1 << 62;
/// Exports of the program that anybody looks for.
const KEPT: [&str; 2] = ["memory", "_start"];

const TYPE: u8 = 1;
const GLOBAL: u8 = 6;
const EXPORT: u8 = 7;
const CODE: u8 = 10;
/// Section numbers in the order in which sections stand.
const ORDER: [u8; 12] = [1, 2, 3, 4, 5, 13, 6, 7, 9, 12, 10, 11];

/// A module as far as metering has to know it.
#[derive(Default)]
struct Outline<'a> {
    types: Vec<FuncType>,
    /// Types of the functions with a body.
    functions: Vec<u32>,
    globals: u32,
    exports: Vec<(&'a str, ExternalKind, u32)>,
    start: Option<u32>,
    bodies: Vec<FunctionBody<'a>>,
    /// Section numbers with where their contents lie.
    sections: Vec<(u8, Range<usize>)>,
    /// The name section, whole.
    names: Option<Range<usize>>,
    /// Where the first type and the first global lie.
    first_type: usize,
    first_global: usize,
}

/// A checked module with its meter.
///
/// # Errors
/// When the module is malformed after all.
pub(crate) fn metered(module: &[u8]) -> Result<Vec<u8>, BinaryReaderError> {
    let outline = outline(module)?;
    let mut types = Types { known: &outline.types, added: Vec::new() };
    let mut code = Vec::new();
    unsigned(&mut code, outline.bodies.len() as u64);
    for (body, &ty) in outline.bodies.iter().zip(&outline.functions) {
        let body = weave::body(module, body, ty, outline.globals, &mut types)?;
        unsigned(&mut code, body.len() as u64);
        code.extend_from_slice(&body);
    }
    let mut out = module[..8].to_vec();
    for id in ORDER {
        let old = outline.sections.iter().find(|(other, _)| *other == id).map(|(_, range)| range.clone());
        match (id, old) {
            (TYPE, Some(range)) => section(&mut out, id, &types.section(&module[outline.first_type..range.end])),
            (GLOBAL, old) => {
                section(&mut out, id, &globals(&outline, old.map(|range| &module[outline.first_global..range.end])))
            }
            (EXPORT, _) => section(&mut out, id, &exports(&outline)),
            (CODE, Some(_)) => section(&mut out, id, &code),
            (_, Some(range)) => section(&mut out, id, &module[range]),
            (_, None) => {}
        }
    }
    if let Some(names) = &outline.names {
        section(&mut out, 0, &module[names.clone()]);
    }
    Ok(out)
}

fn outline(module: &[u8]) -> Result<Outline<'_>, BinaryReaderError> {
    let mut outline = Outline::default();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload?;
        match &payload {
            Payload::TypeSection(types) => {
                outline.first_type = types.original_position();
                outline.types = types.clone().into_iter_err_on_gc_types().collect::<Result<_, _>>()?;
            }
            Payload::FunctionSection(functions) => {
                outline.functions = functions.clone().into_iter().collect::<Result<_, _>>()?
            }
            Payload::GlobalSection(globals) => {
                (outline.globals, outline.first_global) = (globals.count(), globals.original_position())
            }
            Payload::ExportSection(exports) => {
                for export in exports.clone() {
                    let export = export?;
                    outline.exports.push((export.name, export.kind, export.index));
                }
            }
            Payload::StartSection { func, .. } => outline.start = Some(*func),
            Payload::CodeSectionEntry(body) => outline.bodies.push(body.clone()),
            Payload::CustomSection(custom) if custom.name() == "name" => outline.names = Some(custom.range()),
            _ => {}
        }
        if let Some((id, range)) = payload.as_section()
            && id != 0
            && !matches!(payload, Payload::StartSection { .. })
        {
            outline.sections.push((id, range));
        }
    }
    Ok(outline)
}

/// The program's types, and those that metered functions need besides.
struct Types<'a> {
    known: &'a [FuncType],
    added: Vec<Vec<ValType>>,
}

impl Types<'_> {
    fn function(&self, ty: u32) -> &FuncType {
        &self.known[ty as usize]
    }

    /// A type of no parameters with these results.
    fn without_parameters(&mut self, results: &[ValType]) -> u32 {
        let at = self.added.iter().position(|added| added == results).unwrap_or_else(|| {
            self.added.push(results.to_vec());
            self.added.len() - 1
        });
        (self.known.len() + at) as u32
    }

    fn section(&self, known: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(known.len() + 16);
        unsigned(&mut out, (self.known.len() + self.added.len()) as u64);
        out.extend_from_slice(known);
        for results in &self.added {
            out.extend_from_slice(&[0x60, 0]);
            unsigned(&mut out, results.len() as u64);
            results.iter().for_each(|&result| value_type(&mut out, result));
        }
        out
    }
}

/// The program's globals and ours, the last: `(global (mut i64) (i64.const 0))`.
fn globals(outline: &Outline<'_>, known: Option<&[u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    unsigned(&mut out, u64::from(outline.globals) + 1);
    out.extend_from_slice(known.unwrap_or_default());
    out.extend_from_slice(&[0x7e, 1, 0x42, 0, 0x0b]);
    out
}

fn exports(outline: &Outline<'_>) -> Vec<u8> {
    let kept = outline.exports.iter().copied().filter(|(name, ..)| KEPT.contains(name));
    let start = outline.start.map(|start| (START, ExternalKind::Func, start));
    let all: Vec<_> = kept.chain(start).chain([(LEFT, ExternalKind::Global, outline.globals)]).collect();
    let mut out = Vec::new();
    unsigned(&mut out, all.len() as u64);
    for (name, kind, index) in all {
        unsigned(&mut out, name.len() as u64);
        out.extend_from_slice(name.as_bytes());
        out.push(binary::external_kind(kind));
        unsigned(&mut out, index.into());
    }
    out
}

fn section(out: &mut Vec<u8>, id: u8, contents: &[u8]) {
    out.push(id);
    unsigned(out, contents.len() as u64);
    out.extend_from_slice(contents);
}

#[cfg(test)]
mod tests;
