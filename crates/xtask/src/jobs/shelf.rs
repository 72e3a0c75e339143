//! Which programs are checked in as modules, where they lie, and what they are written in.

use std::path::PathBuf;

use crate::run;

/// A folder of programs and the folder of their modules.
#[derive(Debug)]
pub(super) struct Shelf {
    sources: &'static str,
    modules: &'static str,
    pub(super) programs: &'static [Program],
}

/// One program: a folder below its shelf's, and a module of the same name.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) name: &'static str,
    pub(super) language: Language,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    /// A member of the shelf's cargo workspace.
    Rust,
    /// `src/*.c`, and the files of a package that `recipe.json` names, if it is there.
    C,
    /// `src/NAME.zig`.
    Zig,
}

const fn rust(name: &'static str) -> Program {
    Program { name, language: Language::Rust }
}

const fn c(name: &'static str) -> Program {
    Program { name, language: Language::C }
}

const fn zig(name: &'static str) -> Program {
    Program { name, language: Language::Zig }
}

/// The sample jobs and the examples for authors.
pub(super) const JOBS: Shelf = Shelf {
    sources: "jobs",
    modules: "jobs",
    programs: &[rust("mersenne"), rust("render"), rust("align"), rust("collatz"), c("primes"), zig("words")],
};

/// The programs that the runtime is tested with.
pub(super) const TESTS: Shelf = Shelf {
    sources: "runtime/tests/programs/sources",
    modules: "runtime/tests/programs/modules",
    programs: &[rust("conformance"), rust("solver"), c("bzip2"), c("qjs"), c("sql"), zig("gzip")],
};

pub(super) const ALL: [&Shelf; 2] = [&JOBS, &TESTS];

impl Shelf {
    pub(super) fn sources(&self) -> PathBuf {
        run::root().join(self.sources)
    }

    pub(super) fn modules(&self) -> PathBuf {
        run::root().join(self.modules)
    }

    /// The checked-in module of a program.
    pub(super) fn module(&self, name: &str) -> PathBuf {
        self.modules().join(name).with_extension("wasm")
    }

    /// The checked-in module as people write it.
    pub(super) fn shown(&self, name: &str) -> String {
        format!("{}/{name}.wasm", self.modules)
    }

    pub(super) fn in_rust(&self) -> impl Iterator<Item = &'static str> {
        self.programs.iter().filter(|program| program.language == Language::Rust).map(|program| program.name)
    }
}
