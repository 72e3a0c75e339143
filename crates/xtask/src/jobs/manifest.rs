//! `modules.json` beside the modules of a shelf: which sources each was built from, so that neither goes stale unseen.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use super::build::Built;
use super::shelf::{self, Shelf};
use crate::run::say;

/// BLAKE3 digests in hex.
#[derive(Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
struct Entry {
    module: String,
    sources: String,
}

type Manifest = BTreeMap<String, Entry>;

/// What every program of a shelf is built from besides its own folder, as far as it is there.
const SHARED: [&str; 3] = [".cargo/config.toml", "Cargo.lock", "Cargo.toml"];

/// What lies in a program's own folder besides `src`, as far as it is there.
const OWN: [&str; 2] = ["Cargo.toml", "recipe.json"];

/// Checks that every module is the one that was built from the sources as they are. Builds nothing.
///
/// # Errors
/// With what changed since and the command that mends it.
pub(crate) fn fresh() -> Result<()> {
    for shelf in shelf::ALL {
        let path = path(shelf);
        let text = fs::read_to_string(&path).with_context(|| format!("{} can't be read", path.display()))?;
        let recorded: Manifest =
            serde_json::from_str(&text).with_context(|| format!("{} is no manifest", path.display()))?;
        for program in shelf.programs {
            let shown = shelf.shown(program.name);
            let recorded =
                recorded.get(program.name).with_context(|| format!("{} does not know {shown}", path.display()))?;
            stale(&shown, recorded, &entry(program.name, &shelf.sources(), &shelf.modules())?)?;
        }
    }
    Ok(())
}

fn stale(module: &str, recorded: &Entry, actual: &Entry) -> Result<()> {
    if recorded.sources != actual.sources {
        bail!("the sources of {module} changed since it was built: run `cargo xtask jobs`");
    }
    ensure!(recorded.module == actual.module, "{module} is not the module that was built: run `cargo xtask jobs`");
    Ok(())
}

/// Copies fresh modules to where they are checked in, and records them.
pub(super) fn check_in(shelf: &Shelf, built: &[Built]) -> Result<()> {
    let mut manifest = Manifest::new();
    for Built { program, module: fresh } in built {
        let bytes = fs::read(fresh).with_context(|| format!("{} can't be read", fresh.display()))?;
        let module = shelf.module(program);
        fs::write(&module, &bytes).with_context(|| format!("{} can't be written", module.display()))?;
        say(format_args!("{}: {} KiB", shelf.shown(program), bytes.len().div_ceil(1024)));
        manifest.insert((*program).to_owned(), entry(program, &shelf.sources(), &shelf.modules())?);
    }
    let (text, path) = (serde_json::to_string_pretty(&manifest)? + "\n", path(shelf));
    fs::write(&path, text).with_context(|| format!("{} can't be written", path.display()))
}

fn path(shelf: &Shelf) -> PathBuf {
    shelf.modules().join("modules.json")
}

fn entry(program: &str, folder: &Path, modules: &Path) -> Result<Entry> {
    let module = modules.join(program).with_extension("wasm");
    let bytes = fs::read(&module).with_context(|| format!("{} can't be read", module.display()))?;
    Ok(Entry { module: blake3::hash(&bytes).to_hex().to_string(), sources: sources(program, folder)? })
}

/// The digest over the names and contents of all that a module is built from. Packages are known by the lock file.
fn sources(program: &str, folder: &Path) -> Result<String> {
    let mut files: Vec<PathBuf> = SHARED.iter().map(PathBuf::from).collect();
    files.extend(OWN.iter().map(|file| Path::new(program).join(file)));
    files.retain(|file| folder.join(file).exists());
    let inside = folder.join(program).join("src");
    if inside.exists() {
        let listed = fs::read_dir(&inside).with_context(|| format!("{} can't be read", inside.display()))?;
        for entry in listed {
            files.push(Path::new(program).join("src").join(entry?.file_name()));
        }
    }
    ensure!(files.iter().any(|file| file.starts_with(program)), "{program} has no sources in {}", folder.display());
    files.sort();
    let mut hasher = blake3::Hasher::new();
    for file in files {
        let content = fs::read(folder.join(&file)).with_context(|| format!("{} can't be read", file.display()))?;
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
        let before = entry("sums", jobs.path(), jobs.path()).unwrap();
        assert!(stale("jobs/sums.wasm", &before, &entry("sums", jobs.path(), jobs.path()).unwrap()).is_ok());
        write("sums.wasm", "another");
        assert!(
            stale("jobs/sums.wasm", &before, &entry("sums", jobs.path(), jobs.path()).unwrap())
                .unwrap_err()
                .to_string()
                .contains("sums.wasm")
        );
        write("sums.wasm", "module");
        write("sums/src/more.rs", "");
        assert!(
            stale("jobs/sums.wasm", &before, &entry("sums", jobs.path(), jobs.path()).unwrap())
                .unwrap_err()
                .to_string()
                .contains("sources")
        );
    }

    #[test]
    fn the_checked_in_modules_are_fresh() {
        fresh().unwrap();
    }
}
