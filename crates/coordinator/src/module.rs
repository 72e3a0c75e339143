//! What a module says of itself that an order depends on: whether its program can make checkpoints.
//!
//! Deliberately absent: whether it is a module that workers run. They check that before they compile it.

use wasmparser::{Chunk, Parser, Payload, TypeRef};

/// Bytes of a module's beginning in which its imports must lie. Compilers put them within the first few kilobytes.
pub(crate) const START: u64 = 1 << 20;

/// Whether the module that begins with `start` imports a call that makes checkpoints.
pub(crate) fn can_sync(start: &[u8]) -> bool {
    let mut parser = Parser::new(0);
    let mut rest = start;
    while let Ok(Chunk::Parsed { consumed, payload }) = parser.parse(rest, false) {
        rest = &rest[consumed..];
        match payload {
            Payload::ImportSection(imports) => {
                return imports.into_imports().flatten().any(|import| {
                    matches!(import.ty, TypeRef::Func(_)) && matches!(import.name, "fd_sync" | "fd_datasync")
                });
            }
            // Imports come before these.
            Payload::FunctionSection(_) | Payload::CodeSectionStart { .. } | Payload::End(_) => return false,
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(text: &str) -> Vec<u8> {
        wat::parse_str(text).unwrap()
    }

    #[test]
    fn only_an_imported_sync_makes_checkpoints() {
        let import = |name: &str| {
            module(&format!("(module (import \"wasi_snapshot_preview1\" \"{name}\" (func (param i32) (result i32))))"))
        };
        assert!(can_sync(&import("fd_sync")) && can_sync(&import("fd_datasync")));
        assert!(!can_sync(&import("fd_close")));
        assert!(
            !can_sync(&module("(module (func (export \"fd_sync\")))")),
            "what it calls its own functions says nothing"
        );
        assert!(!can_sync(b"\0asm\x01\0\0\0"));
    }

    #[test]
    fn a_beginning_that_is_cut_short_or_broken_promises_nothing() {
        let whole = module("(module (import \"wasi_snapshot_preview1\" \"fd_sync\" (func (param i32) (result i32))))");
        for end in 0..whole.len() {
            assert!(!can_sync(&whole[..end]), "cut after {end}");
        }
        assert!(!can_sync(b"no module"));
    }
}
