//! Runs the fuzz targets of `fuzz/`: builds each with coverage instrumentation by the compiler that builds everything else,
//! and lets libFuzzer look for inputs that break a promise.
//!
//! Deliberately absent: cargo-fuzz, whose folder layout is kept. It wants a nightly compiler for a sanitizer that would
//! watch `unsafe` code, and the parsers have none.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;

use crate::run::{self, cargo, root, say, step, target};

/// How LLVM marks what an input reached, and what it was compared with.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";
/// What the checked-in corpus of one target may take, bytes.
const KEPT_BYTES: u64 = 150_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Target {
    /// A module from a requester: the check, then the compiler
    Modules,
    /// What a worker says to its supervisor, and frames in both directions
    Frames,
    /// A program's calls into WASI, and images of /state
    Shim,
    /// What a worker is told
    Told,
    /// Checkpoint files
    Checkpoints,
    /// Manifests, receipts, epoch files, API bodies
    Documents,
    /// The owner's settings
    Settings,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// All of them, one after the other, where none is named
    target: Option<Target>,
    /// For each target
    #[arg(long, default_value_t = 5)]
    minutes: u32,
    /// Adds what reaches more to the checked-in corpus, as little of it as will do
    #[arg(long)]
    keep: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let targets = args.target.map_or_else(|| Target::value_variants().to_vec(), |one| vec![one]);
    for target in targets {
        step(&format!("fuzz {}", target.name()));
        let fuzzer = Fuzzer::build(target)?;
        fuzzer.search(args.minutes)?;
        if args.keep {
            fuzzer.keep()?;
        }
    }
    Ok(())
}

impl Target {
    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// The longest input, bytes.
    const fn longest(self) -> u32 {
        match self {
            Self::Modules => 100_000,
            Self::Documents => 16_384,
            _ => 4_096,
        }
    }
}

/// A target that is built, and its folders.
struct Fuzzer {
    target: Target,
    program: PathBuf,
    /// Everything that was found on this machine.
    found: PathBuf,
    /// What is checked in.
    kept: PathBuf,
    /// Inputs that broke a promise.
    broke: PathBuf,
}

impl Fuzzer {
    fn build(which: Target) -> Result<Self> {
        let (name, folder) = (which.name(), target().join("fuzz"));
        // What ships is what is fuzzed: the versions are the repository's.
        fs::copy(root().join("Cargo.lock"), root().join("fuzz/Cargo.lock")).context("fuzz/Cargo.lock")?;
        let host = run::output(Command::new("rustc").args(["--print", "host-tuple"]))?;
        let host = host.trim();
        let mut build = cargo(&["build", "--release", "--manifest-path", "fuzz/Cargo.toml", "--target", host]);
        build.args(["--bin", &name]);
        if which == Target::Settings {
            build.args(["--features", &name]);
        }
        // With a target named, what runs while building (scripts, macros) is not instrumented.
        run::run(build.env("RUSTFLAGS", FLAGS).env("CARGO_TARGET_DIR", &folder))?;
        let fuzzer = Self {
            target: which,
            program: folder.join(host).join("release").join(&name),
            found: folder.join("corpus").join(&name),
            kept: root().join("fuzz/corpus").join(&name),
            broke: folder.join("broke").join(&name),
        };
        for folder in [&fuzzer.found, &fuzzer.kept, &fuzzer.broke] {
            fs::create_dir_all(folder).with_context(|| format!("{} can't be made", folder.display()))?;
        }
        Ok(fuzzer)
    }

    /// Looks for `minutes`.
    fn search(&self, minutes: u32) -> Result<()> {
        let mut command = Command::new(&self.program);
        command.args([&self.found, &self.kept]);
        if self.target == Target::Modules {
            // Real programs to start from.
            command.arg(self.real_modules()?);
        }
        command.args([
            format!("-max_total_time={}", minutes * 60),
            format!("-max_len={}", self.target.longest()),
            // A minute of a machine that is busy otherwise: a hang, and not slowness.
            "-timeout=60".into(),
            "-rss_limit_mb=3072".into(),
            "-print_final_stats=1".into(),
            format!("-artifact_prefix={}/", self.broke.display()),
        ]);
        let log = self.found.with_extension("log");
        let file = fs::File::create(&log).with_context(|| format!("{} can't be written", log.display()))?;
        say(format_args!("{minutes} minutes; the log is {}", log.display()));
        let ended = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file).status()?;
        let said = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
        if !ended.success() {
            let what = said.lines().find(|line| line.contains("panicked at") || line.contains("ERROR: libFuzzer"));
            bail!(
                "{} broke a promise: {}. The input is in {}, the story in {}. Put a copy of the input into {}, where \
                 every test run will try it, then mend the code",
                self.target.name(),
                what.unwrap_or("it says nothing"),
                self.broke.display(),
                log.display(),
                self.kept.display()
            );
        }
        say(format_args!("{}", summary(&said).context("the fuzzer counted nothing")?));
        Ok(())
    }

    /// The sample jobs, as a corpus that nothing is written to.
    fn real_modules(&self) -> Result<PathBuf> {
        let folder = self.found.with_extension("jobs");
        fs::create_dir_all(&folder)?;
        for job in fs::read_dir(root().join("jobs"))? {
            let path = job?.path();
            if let Some(name) = path.file_name().filter(|_| path.extension().is_some_and(|end| end == "wasm")) {
                fs::copy(&path, folder.join(name))?;
            }
        }
        Ok(folder)
    }

    /// Chooses the inputs that together reach everything known, and checks in the smallest of them.
    fn keep(&self) -> Result<()> {
        let chosen = self.found.with_extension("chosen");
        let _ = fs::remove_dir_all(&chosen);
        fs::create_dir_all(&chosen)?;
        let mut merge = Command::new(&self.program);
        merge.args(["-set_cover_merge=1", "-rss_limit_mb=3072"]).arg(format!("-max_len={}", self.target.longest()));
        merge.args([&chosen, &self.kept, &self.found]).stdin(Stdio::null()).stderr(Stdio::null());
        run::run(&mut merge)?;
        let mut inputs = Vec::new();
        for input in fs::read_dir(&chosen)? {
            let input = input?;
            inputs.push((input.metadata()?.len(), input.path()));
        }
        inputs.sort();
        ensure!(!inputs.is_empty(), "nothing was chosen");
        let (count, bytes) = add_smallest(&inputs, &self.kept)?;
        say(format_args!("{} holds {count} more inputs, {bytes} bytes", self.kept.display()));
        Ok(())
    }
}

/// Copies inputs, smallest first, until the folder holds as much as it may. Says how many, and their bytes.
fn add_smallest(inputs: &[(u64, PathBuf)], folder: &Path) -> Result<(u32, u64)> {
    let mut held = 0;
    for file in fs::read_dir(folder)? {
        held += file?.metadata()?.len();
    }
    let (mut count, mut bytes) = (0, 0);
    for (size, path) in inputs {
        let place = folder.join(path.file_name().context("an input has a name")?);
        if held + size > KEPT_BYTES {
            break;
        }
        if !place.exists() {
            fs::copy(path, place)?;
            (count, bytes, held) = (count + 1, bytes + size, held + size);
        }
    }
    Ok((count, bytes))
}

/// Executions, edges reached and inputs worth keeping, from libFuzzer's last status line.
fn summary(log: &str) -> Option<String> {
    let words: Vec<&str> = log.lines().rfind(|line| line.contains(" cov: "))?.split_whitespace().collect();
    let after = |key: &str| Some(*words.get(words.iter().position(|word| *word == key)? + 1)?);
    let runs = words.first()?.trim_start_matches('#');
    Some(format!("{runs} executions, {} edges, {} features, {} inputs", after("cov:")?, after("ft:")?, after("corp:")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_status_line_counts() {
        let log = "#2 INITED cov: 5 ft: 6 corp: 1/1b\n#1024\tpulse  cov: 31 ft: 40 corp: 9/200b lim: 4 exec/s: 512\nstat::x: 1";
        assert_eq!(summary(log).unwrap(), "1024 executions, 31 edges, 40 features, 9/200b inputs");
        assert_eq!(summary("nothing"), None);
    }

    #[test]
    fn a_corpus_stays_small() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::create_dir(&from).unwrap();
        fs::create_dir(&to).unwrap();
        let inputs: Vec<_> = [10, 20, KEPT_BYTES]
            .into_iter()
            .map(|size| (size, from.join(size.to_string())))
            .inspect(|(size, path)| fs::write(path, vec![0; usize::try_from(*size).unwrap()]).unwrap())
            .collect();
        assert_eq!(add_smallest(&inputs, &to).unwrap(), (2, 30));
        assert_eq!(add_smallest(&inputs, &to).unwrap(), (0, 0));
    }
}
