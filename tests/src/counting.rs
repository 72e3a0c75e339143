//! A task that syncs: it counts in a file of `/state`, with a sum beside it, and syncs after every round.
//!
//! Deliberately absent: a toolchain. It is WebAssembly text, so that a test can make it as long as it needs.

/// Imports, in the form in which WebAssembly has them.
const IMPORTS: &[(&str, &str)] = &[
    ("path_open", "i32 i32 i32 i32 i32 i64 i64 i32 i32"),
    ("fd_pread", "i32 i32 i32 i64 i32"),
    ("fd_pwrite", "i32 i32 i32 i64 i32"),
    ("fd_read", "i32 i32 i32 i32"),
    ("fd_write", "i32 i32 i32 i32"),
    ("fd_sync", "i32"),
];

/// A module that goes through `rounds` rounds of `steps` multiplications, about a nanosecond each, and then writes the
/// number of rounds and the sum. Eight bytes of its input are where the sum begins, so that every task has its own result.
///
/// # Panics
/// Never: the text is checked by the tests that run it.
#[must_use]
pub fn module(rounds: u64, steps: u64) -> Vec<u8> {
    let imports: String = IMPORTS
        .iter()
        .map(|(name, parameters)| {
            format!("(import \"wasi_snapshot_preview1\" \"{name}\" (func ${name} (param {parameters}) (result i32)))\n")
        })
        .collect();
    // Rounds done and sum are at 2000 and 2008, the descriptor at 16, a vector at 0.
    let vector =
        |at: u32| format!("(i32.store (i32.const 0) (i32.const {at})) (i32.store (i32.const 4) (i32.const 16))");
    let file = "(i32.load (i32.const 16))";
    let text = format!(
        "(module {imports}
           (memory (export \"memory\") 1)
           (data (i32.const 1024) \"state/sum\")
           (func (export \"_start\") (local $n i64) (local $sum i64)
             (drop (call $path_open (i32.const 3) (i32.const 0) (i32.const 1024) (i32.const 9) (i32.const 1)
               (i64.const 0x6001ff) (i64.const 0) (i32.const 0) (i32.const 16)))
             (i32.store (i32.const 0) (i32.const 2008)) (i32.store (i32.const 4) (i32.const 8))
             (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 24)))
             {vector}
             (drop (call $fd_pread {file} (i32.const 0) (i32.const 1) (i64.const 0) (i32.const 24)))
             (loop $round
               (if (i64.lt_u (i64.load (i32.const 2000)) (i64.const {rounds})) (then
                 (local.set $n (i64.const {steps}))
                 (local.set $sum (i64.load (i32.const 2008)))
                 (loop $step
                   (local.set $sum (i64.add (i64.mul (local.get $sum) (i64.const 6364136223846793005)) (local.get $n)))
                   (local.set $n (i64.sub (local.get $n) (i64.const 1)))
                   (br_if $step (i64.ne (local.get $n) (i64.const 0))))
                 (i64.store (i32.const 2008) (local.get $sum))
                 (i64.store (i32.const 2000) (i64.add (i64.load (i32.const 2000)) (i64.const 1)))
                 {vector}
                 (drop (call $fd_pwrite {file} (i32.const 0) (i32.const 1) (i64.const 0) (i32.const 24)))
                 (drop (call $fd_sync {file}))
                 (br $round))))
             {vector}
             (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 24)))))",
        vector = vector(2_000),
    );
    wat::parse_str(text).expect("the text is WebAssembly")
}
