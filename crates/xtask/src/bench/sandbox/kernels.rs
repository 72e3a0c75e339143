//! The kernels and how they are built: each from one C source, three times.
//!
//! Built when the benchmark runs, so that what is measured is the source that is there. The module and the native twin
//! come from one compiler (`zig cc`, which is clang); the system's compiler makes a second twin. Contraction
//! of a * b + c is off natively, since WASM has no such instruction and the checksums would differ.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::run::{self, cargo, root, say, step};

#[derive(Debug)]
pub(super) struct Kernel {
    pub(super) name: &'static str,
    pub(super) kind: &'static str,
    /// Some tenths of a second of native work.
    pub(super) rounds: u32,
}

const fn kernel(name: &'static str, kind: &'static str, rounds: u32) -> Kernel {
    Kernel { name, kind, rounds }
}

pub(super) const KERNELS: &[Kernel] = &[
    kernel("sieve", "integer", 80),
    kernel("sha256", "integer", 50),
    kernel("keccak", "integer", 70),
    kernel("modmul", "integer, 64 x 64 to 128 bits", 600),
    kernel("nbody", "float", 40),
    kernel("mandelbrot", "float, branchy", 12),
    kernel("matmul", "float, vectorised", 130),
    kernel("blur", "SIMD, explicit", 110),
    kernel("bytes", "SIMD, vectorised", 40),
    kernel("chase", "memory, latency", 2),
    kernel("stream", "memory, bandwidth", 10),
    kernel("sort", "branchy", 25),
    kernel("interpret", "branchy, one switch", 45),
    kernel("calls", "calls, direct and indirect", 300),
    kernel("allocate", "allocation", 120),
    kernel("compress", "a real program: bzip2", 2),
];

/// The one that is linked with a library.
const LINKED: &str = "compress";
const BZIP2: [&str; 7] =
    ["blocksort.c", "bzlib.c", "compress.c", "crctable.c", "decompress.c", "huffman.c", "randtable.c"];

const EVERYWHERE: [&str; 3] = ["-O3", "-ffp-contract=off", "-w"];
/// The level that the worker's own code is compiled for on nearly every PC.
const GCC: &[&str] = &["-march=x86-64-v3"];
const CLANG: &[&str] = &["-march=x86_64_v3", "-fno-sanitize=all"];
const WASM: &[&str] = &[
    "-target",
    "wasm32-wasi",
    "-fno-sanitize=all",
    "-mcpu=generic+simd128+bulk_memory+sign_ext+nontrapping_fptoint",
    "-s",
];

/// Builds what is older than its source.
pub(super) fn build(python: &Path, folder: &Path) -> Result<()> {
    step("kernels");
    std::fs::create_dir_all(folder).with_context(|| format!("{} can't be made", folder.display()))?;
    let bzip2 = bzip2()?;
    let zig = || {
        let mut command = Command::new(python);
        command.args(["-m", "ziglang", "cc"]);
        command
    };
    for kernel in KERNELS {
        let source = root().join("benches/sandbox").join(kernel.name).with_extension("c");
        let kinds = [("wasm", zig(), WASM), ("clang", zig(), CLANG), ("gcc", Command::new("cc"), GCC)];
        for (kind, mut compiler, flags) in kinds {
            let out = folder.join(kernel.name).with_extension(kind);
            if !is_older(&out, &source)? {
                continue;
            }
            say(format_args!("{}: {kind}", kernel.name));
            compiler.args(EVERYWHERE).args(flags).arg(&source);
            if kernel.name == LINKED {
                compiler.arg("-DBZ_NO_STDIO").arg("-I").arg(&bzip2).args(BZIP2.map(|file| bzip2.join(file)));
            }
            run::run(compiler.arg("-lm").arg("-o").arg(out))?;
        }
    }
    Ok(())
}

fn is_older(out: &Path, source: &Path) -> Result<bool> {
    let header = source.with_file_name("kernel.h");
    let newest =
        [source, &header].map(|file| file.metadata()?.modified()).into_iter().collect::<std::io::Result<Vec<_>>>()?;
    let made = out.metadata().and_then(|metadata| metadata.modified()).ok();
    Ok(newest.into_iter().any(|newest| made.is_none_or(|made| made < newest)))
}

/// bzip2's sources, as the crate that `benches/sandbox/Cargo.toml` names brings them.
fn bzip2() -> Result<PathBuf> {
    let manifest = root().join("benches/sandbox/Cargo.toml");
    let mut metadata = cargo(&["metadata", "--format-version=1", "--locked", "--manifest-path"]);
    let metadata: Value = serde_json::from_str(&run::output(metadata.arg(manifest))?)?;
    let packages = metadata["packages"].as_array().context("cargo lists no packages")?;
    let found = packages.iter().find(|package| package["name"] == "bzip2-sys").context("bzip2-sys is not listed")?;
    let found = Path::new(found["manifest_path"].as_str().context("a package has a path")?);
    Ok(found.with_file_name("bzip2-1.0.8"))
}
