//! `jobs/modules.json`: which sources each checked-in module was built from, so that neither goes stale unseen.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use super::build::Built;
use super::{NAMES, folder, module};
use crate::run::say;

/// BLAKE3 digests in hex.
#[derive(Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
struct Entry {
    module: String,
    sources: String,
}

type Manifest = BTreeMap<String, Entry>;

/// What every job is built from besides its own folder.
const SHARED: [&str; 3] = [".cargo/config.toml", "Cargo.lock", "Cargo.toml"];

/// Checks that every module is the one that was built from the sources as they are. Builds nothing.
///
/// # Errors
/// With what changed since and the command that mends it.
pub(crate) fn fresh() -> Result<()> {
    let text = fs::read_to_string(path()).with_context(|| format!("{} can't be read", path().display()))?;
    let recorded: Manifest =
        serde_json::from_str(&text).with_context(|| format!("{} is no manifest", path().display()))?;
    for &job in NAMES {
        let recorded = recorded.get(job).with_context(|| format!("jobs/modules.json does not know {job}"))?;
        stale(job, recorded, &entry(job, &folder())?)?;
    }
    Ok(())
}

fn stale(job: &str, recorded: &Entry, actual: &Entry) -> Result<()> {
    if recorded.sources != actual.sources {
        bail!("the sources of jobs/{job} changed since its module was built: run `cargo xtask jobs`");
    }
    ensure!(
        recorded.module == actual.module,
        "jobs/{job}.wasm is not the module that was built: run `cargo xtask jobs`"
    );
    Ok(())
}

/// Copies fresh modules to where they are checked in, and records them.
pub(super) fn check_in(built: &[Built]) -> Result<()> {
    let mut manifest = Manifest::new();
    for Built { job, module: fresh } in built {
        let bytes = fs::read(fresh).with_context(|| format!("{} can't be read", fresh.display()))?;
        fs::write(module(job), &bytes).with_context(|| format!("{} can't be written", module(job).display()))?;
        say(format_args!("jobs/{job}.wasm: {} KiB", bytes.len().div_ceil(1024)));
        manifest.insert((*job).to_owned(), entry(job, &folder())?);
    }
    let text = serde_json::to_string_pretty(&manifest)? + "\n";
    fs::write(path(), text).with_context(|| format!("{} can't be written", path().display()))
}

fn path() -> PathBuf {
    folder().join("modules.json")
}

fn entry(job: &str, jobs: &Path) -> Result<Entry> {
    let module = jobs.join(job).with_extension("wasm");
    let bytes = fs::read(&module).with_context(|| format!("{} can't be read", module.display()))?;
    Ok(Entry { module: blake3::hash(&bytes).to_hex().to_string(), sources: sources(job, jobs)? })
}

/// The digest over the names and contents of all that a module is built from.
fn sources(job: &str, jobs: &Path) -> Result<String> {
    let mut files: Vec<PathBuf> = SHARED.iter().map(PathBuf::from).collect();
    files.push(Path::new(job).join("Cargo.toml"));
    let inside = jobs.join(job).join("src");
    let listed = fs::read_dir(&inside).with_context(|| format!("{} can't be read", inside.display()))?;
    for entry in listed {
        files.push(Path::new(job).join("src").join(entry?.file_name()));
    }
    files.sort();
    let mut hasher = blake3::Hasher::new();
    for file in files {
        let content = fs::read(jobs.join(&file)).with_context(|| format!("jobs/{} can't be read", file.display()))?;
        hasher.update(file.to_str().context("a source's name is not text")?.as_bytes());
        hasher.update(&[0]);
        hasher.update(&(content.len() as u64).to_le_bytes());
        hasher.update(&content);
    }
    Ok(hasher.finalize().to_hex().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_source_or_module_is_stale() {
        let jobs = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = jobs.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        for name in SHARED {
            write(name, "");
        }
        write("sums/Cargo.toml", "");
        write("sums/src/main.rs", "fn main() {}");
        write("sums.wasm", "module");
        let before = entry("sums", jobs.path()).unwrap();
        assert!(stale("sums", &before, &entry("sums", jobs.path()).unwrap()).is_ok());
        write("sums.wasm", "another");
        assert!(
            stale("sums", &before, &entry("sums", jobs.path()).unwrap()).unwrap_err().to_string().contains("sums.wasm")
        );
        write("sums.wasm", "module");
        write("sums/src/more.rs", "");
        assert!(
            stale("sums", &before, &entry("sums", jobs.path()).unwrap()).unwrap_err().to_string().contains("sources")
        );
    }

    #[test]
    fn the_checked_in_modules_are_fresh() {
        fresh().unwrap();
    }
}
