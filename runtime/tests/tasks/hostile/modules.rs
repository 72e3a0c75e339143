//! Modules that are none, or that ask for what tasks may not have, and what else a job brings along.

use std::io::Write;
use std::sync::Arc;

use surge_supervisor::Task;

use super::case::Run::{Never, Tasks};
use super::case::{Case, Try};
use crate::door::{print, program, task, wat};

pub(crate) const CASES: &[Case] = &[
    Case {
        number: 8,
        tries: "a 64-bit memory of 128 GiB",
        ends: &["invalid/feature"],
        note: "",
        run: Tasks(|| [1, 2_097_152].map(|pages| memory(&format!("i64 {pages}"))).into()),
    },
    Case {
        number: 9,
        tries: "a hundred memories",
        ends: &["invalid/feature"],
        note: "so that the limit on memory is one for each memory and for all together",
        run: Tasks(|| {
            vec![
                shell("(memory 1)").says("more than one memory"),
                shell(&"(memory 1)".repeat(99)).says("more than one memory"),
            ]
        }),
    },
    Case {
        number: 19,
        tries: "importing a function that there is not",
        ends: &["invalid/import"],
        note: "named in the detail",
        run: Tasks(|| {
            vec![
                shell(r#"(import "env" "system" (func (param i32) (result i32)))"#).says("it imports env"),
                shell(r#"(import "wasi_snapshot_preview1" "fd_exec" (func (param i32) (result i32)))"#).says("fd_exec"),
                shell(r#"(import "wasi_unstable" "fd_close" (func (param i32) (result i32)))"#).says("wasi_unstable"),
            ]
        }),
    },
    Case {
        number: 20,
        tries: "importing a function by a wrong signature",
        ends: &["invalid/import"],
        note: "",
        run: Tasks(|| {
            let of = |name: &str, signature: &str| {
                shell(&format!(r#"(import "wasi_snapshot_preview1" "{name}" (func {signature}))"#)).says("signature")
            };
            vec![
                of("fd_close", "(param i64) (result i32)"),
                of("fd_close", "(param i32)"),
                of("fd_close", "(result i32)"),
                of("proc_exit", "(param i32) (result i32)"),
            ]
        }),
    },
    Case {
        number: 21,
        tries: "importing a memory, a table, a global",
        ends: &["invalid/import"],
        note: "",
        run: Tasks(|| {
            let imported = r#"(module (import "env" "memory" (memory 1)) (func (export "_start")))"#;
            vec![
                Try::of(wat(imported)),
                shell(r#"(import "env" "table" (table 1 funcref))"#),
                shell(r#"(import "env" "base" (global i32))"#),
                shell(r#"(import "wasi_snapshot_preview1" "fd_close" (global i32))"#),
            ]
        }),
    },
    Case {
        number: 27,
        tries: "a module that is cut short or damaged",
        ends: &["invalid/malformed", "invalid/not_wasm"],
        note: "a bit in every third byte: `runtime/tests/tasks/modules.rs`",
        run: Tasks(damaged),
    },
    Case {
        number: 28,
        tries: "machine code, programs, archives and text in place of a module",
        ends: &["invalid/not_wasm"],
        note: "the detail says what it looks like; precompiled code is taken from nobody",
        run: Tasks(|| {
            let engine = wasmtime::Engine::default();
            let native = engine.precompile_module(&wat::parse_str("(module)").unwrap()).unwrap();
            let of = |bytes: &[u8], says| Try::of(task(bytes)).says(says);
            vec![
                of(&native, "ELF"),
                of(b"", "empty"),
                of(b"\x7fELF\x02\x01\x01 and so on", "ELF"),
                of(b"MZ\x90", "Windows"),
                of(b"PK\x03\x04", "ZIP"),
                of(b"\x1f\x8b\x08", "gzip"),
                of(b"\x28\xb5\x2f\xfd", "Zstandard"),
                of(b"\n (module)", "text form"),
                of(b"#!/bin/sh", "something else"),
                of(b"\0as", "something else"),
            ]
        }),
    },
    Case {
        number: 29,
        tries: "a bundle that unpacks to a thousand times its size",
        ends: &[],
        note: "a job is a module and plain files, each of a size that its order names; nothing is unpacked",
        run: Never,
    },
    Case {
        number: 30,
        tries: "names that lead out: `..`, absolute, drive letters, NUL, slashes, reserved words",
        ends: &["invalid/data"],
        note: "the one name that a job brings along is a data set's; no file of the machine ever bears it",
        run: Tasks(|| {
            let long = "x".repeat(101);
            let names = [
                "",
                ".",
                "..",
                "../x",
                "/etc/passwd",
                "a/b",
                "a/",
                "C:x",
                "\\\\host\\x",
                "a\0b",
                "NUL:",
                "a b",
                "ü",
                &long,
            ];
            let twice = ["a", "a"].as_slice();
            names.iter().map(|name| named(&[name])).chain([named(twice).says("twice")]).collect()
        }),
    },
    Case {
        number: 31,
        tries: "symbolic and hard links in a bundle",
        ends: &[],
        note: "nothing is unpacked, and data sets are open files",
        run: Never,
    },
    Case {
        number: 45,
        tries: "arguments that are too long, too many, or hold a NUL",
        ends: &["invalid/too_large", "invalid/args"],
        note: "the environment is always empty (66)",
        run: Tasks(|| {
            let args = |args: Vec<String>| shell("").given(|task| task.args = args);
            vec![
                args(vec!["x".repeat(1_000); 1_100]).says("too long"),
                args(vec!["x".repeat(1 << 20)]).says("too long"),
                args(vec![String::new(); 300_000]).says("argument bytes: 1500000, and at most 1048576"),
                args(vec!["a\0b".into()]).ends("invalid/args").says("argument 1 holds a NUL"),
            ]
        }),
    },
    Case {
        number: 47,
        tries: "sockets and signals: of preview 1, of preview 2",
        ends: &["exit/58", "exit/8", "invalid/import"],
        note: "the functions are there, as programs are linked against them, and say ENOTSUP (58)",
        run: Tasks(|| {
            let calls = [
                "(call $sock_accept (i32.const 1) (i32.const 0) (i32.const 0))",
                "(call $sock_recv (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))",
                "(call $sock_send (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))",
                "(call $sock_shutdown (i32.const 1) (i32.const 0))",
                "(call $proc_raise (i32.const 9))",
            ];
            let mut tries: Vec<Try> = calls.map(|call| Try::body(&format!("(call $exit {call})"))).into();
            let nobody = "(call $sock_send (i32.const 9) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))";
            tries.push(Try::body(&format!("(call $exit {nobody})")).ends("exit/8"));
            let p2 = r#"(import "wasi:sockets/tcp@0.2.0" "connect" (func (param i32) (result i32)))"#;
            tries.push(shell(p2).ends("invalid/import"));
            tries
        }),
    },
    Case {
        number: 48,
        tries: "threads: shared memory, atomics, waiting for ever",
        ends: &["invalid/feature"],
        note: "",
        run: Tasks(|| {
            vec![
                memory("1 1 shared"),
                shell("(func (drop (i32.atomic.load (i32.const 0))))"),
                shell("(func (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1))))"),
            ]
        }),
    },
    Case {
        number: 49,
        tries: "relaxed SIMD, whose results depend on the processor",
        ends: &["invalid/feature"],
        note: "",
        run: Tasks(|| vec![shell("(func (param v128) (drop (i8x16.relaxed_swizzle (local.get 0) (local.get 0))))")]),
    },
    Case {
        number: 50,
        tries: "garbage collection, exceptions, typed references, components",
        ends: &["invalid/feature"],
        note: "",
        run: Tasks(|| {
            vec![
                shell("(type (struct (field i32)))"),
                shell("(type (array i32))"),
                shell("(tag $e) (func (throw $e))"),
                shell("(func (param externref))"),
                shell("(type $f (func)) (func (param (ref null $f)) (call_ref $f (local.get 0)))"),
                // It begins like a module and is none.
                Try::of(task(b"\0asm\x0d\0\x01\0")),
            ]
        }),
    },
];

/// A command that does nothing, with something beside it.
fn shell(parts: &str) -> Try {
    Try::of(wat(&format!(r#"(module {parts} (memory (export "memory") 1) (func (export "_start")))"#)))
}

fn memory(of: &str) -> Try {
    Try::of(wat(&format!(r#"(module (memory (export "memory") {of}) (func (export "_start")))"#)))
}

fn named(names: &[&str]) -> Try {
    let file = || {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"x").unwrap();
        Arc::new(file)
    };
    let data = names.iter().map(|name| ((*name).to_owned(), file())).collect();
    shell("").given(|task: &mut Task| task.data = data)
}

/// Cut anywhere before the end of its code, and with a magic number, version, section and size that are wrong.
fn damaged() -> Vec<Try> {
    let whole = wat::parse_str(program(&print(0, 4))).unwrap();
    let code = wasmparser::Parser::new(0)
        .parse_all(&whole)
        .find_map(|payload| match payload.unwrap() {
            wasmparser::Payload::CodeSectionStart { range, .. } => Some(range.end),
            _ => None,
        })
        .unwrap();
    // Between two sections it is whole, and only lacks something.
    let whole_until = |end: usize| wasmparser::Parser::new(0).parse_all(&whole[..end]).all(|payload| payload.is_ok());
    let cuts =
        (4..code).step_by(7).chain([code - 1]).filter(|&end| !whole_until(end)).map(|end| Try::of(task(&whole[..end])));
    let flip = |at: usize| {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x40;
        Try::of(task(flipped))
    };
    cuts.chain([flip(4), flip(8), flip(9)]).chain([flip(0).ends("invalid/not_wasm")]).collect()
}
