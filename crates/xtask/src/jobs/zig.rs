//! Builds programs in C and in Zig, with the compiler that comes as a Python package. What is not ours is fetched by cargo
//! and compiled where it lies: a recipe names the package and the files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

use super::shelf::{Language, Program, Shelf};
use crate::run::{self, cargo};
use crate::setup;

const TARGET: &str = "wasm32-wasi";

/// `recipe.json`: what a program takes from a package on crates.io.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recipe {
    package: String,
    /// Inside the package.
    folder: String,
    /// Inside that folder.
    files: Vec<String>,
    flags: Vec<String>,
}

/// Builds one program into `module`.
pub(super) fn build(shelf: &Shelf, program: &Program, module: &Path) -> Result<()> {
    let mut command = Command::new(setup::zig()?);
    command.args(["-m", "ziglang"]);
    let folder = shelf.sources().join(program.name);
    match program.language {
        Language::Zig => {
            let emit = format!("-femit-bin={}", module.display());
            command.args(["build-exe", "-O", "ReleaseSmall", "-fstrip", "-target", TARGET, &emit]);
            command.arg(folder.join("src").join(program.name).with_extension("zig"));
        }
        _ => {
            command.args(["cc", "-s", "-target", TARGET, "-o"]).arg(module);
            command.args(c_files(&folder.join("src"))?);
            match recipe(&folder)? {
                Some(recipe) => fetched(&mut command, shelf, &recipe)?,
                None => {
                    command.arg("-O2");
                }
            }
        }
    }
    run::run(&mut command)
}

fn recipe(folder: &Path) -> Result<Option<Recipe>> {
    let path = folder.join("recipe.json");
    if !path.exists() {
        return Ok(None);
    }
    let text = fs::read_to_string(&path).with_context(|| format!("{} can't be read", path.display()))?;
    serde_json::from_str(&text).map(Some).with_context(|| format!("{} is no recipe", path.display()))
}

fn c_files(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let listed = fs::read_dir(folder).with_context(|| format!("{} can't be read", folder.display()))?;
    let mut files = listed.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "c"));
    files.sort();
    Ok(files)
}

/// Adds what the recipe names. It is third-party code: small rather than fast.
fn fetched(command: &mut Command, shelf: &Shelf, recipe: &Recipe) -> Result<()> {
    let folder = package(shelf, &recipe.package)?.join(&recipe.folder);
    command.arg("-Os").arg("-I").arg(&folder);
    command.args(recipe.files.iter().map(|file| folder.join(file))).args(&recipe.flags);
    Ok(())
}

/// Where cargo keeps a package that the shelf's workspace depends on; fetched now if it is not there yet.
fn package(shelf: &Shelf, name: &str) -> Result<PathBuf> {
    let manifest = shelf.sources().join("Cargo.toml");
    let mut command = cargo(&["metadata", "--format-version=1", "--locked", "--manifest-path"]);
    let metadata: Value = serde_json::from_str(&run::output(command.arg(&manifest))?)?;
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let found = packages.iter().find(|package| package["name"].as_str() == Some(name));
    let manifest = found.and_then(|package| package["manifest_path"].as_str());
    let folder = manifest.map(Path::new).and_then(Path::parent);
    folder.map(Path::to_owned).with_context(|| format!("{} does not depend on {name}", shelf.sources().display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::shelf;

    #[test]
    fn every_c_program_has_files_of_its_own_or_a_recipe() {
        for shelf in shelf::ALL {
            for program in shelf.programs.iter().filter(|program| program.language == Language::C) {
                let folder = shelf.sources().join(program.name);
                let own = c_files(&folder.join("src")).unwrap().len();
                let fetched = recipe(&folder).unwrap().map_or(0, |recipe| recipe.files.len());
                assert!(own + fetched > 0, "{}", program.name);
            }
        }
    }
}
