//! A second build of the programs of a package, cheaply: copies that tell another version of themselves.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::executable;
use crate::machine::Told;
use crate::network::program;

/// It is removed with this value.
#[derive(Debug)]
pub(crate) struct SecondBuild {
    folder: tempfile::TempDir,
}

impl SecondBuild {
    /// # Errors
    /// When a program does not tell its version, or tells another one than it has in it.
    pub(crate) fn new() -> Result<Self> {
        let build = Self { folder: tempfile::tempdir()? };
        // `surge 0.1.0 (1a2b3c4d)`: the commit changes.
        let version = version_of(&program("surge"))?;
        let stamp = version.trim_start_matches("surge ").trim_end_matches(')');
        build.make("surge", stamp)?;
        // `wasmtime-48.0.8/x86-64-v3/1a2b3c4d`: the version of what computes.
        let class = class_of(&program("surge-worker"))?;
        build.make("surge-worker", class.split('/').next().unwrap_or_default())?;
        ensure!(version_of(&build.program("surge"))? != version, "both builds call themselves {version}");
        ensure!(class_of(&build.program("surge-worker"))? != class, "both builds compute as {class}");
        Ok(build)
    }

    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Copies a program with another last character in each `stamp`.
    fn make(&self, name: &str, stamp: &str) -> Result<()> {
        let mut bytes = fs::read(program(name))?;
        let last = *stamp.as_bytes().last().context("a version")?;
        let places: Vec<_> = places(&bytes, stamp.as_bytes());
        ensure!(!places.is_empty(), "{stamp:?} is not in {name}");
        for place in places {
            bytes[place + stamp.len() - 1] = if last == b'1' { b'2' } else { b'1' };
        }
        let written = self.folder.path().join(format!("{name}.bytes"));
        fs::write(&written, bytes)?;
        executable::copy(&written, &self.program(name));
        Ok(())
    }
}

/// What the `surge` at this path calls itself.
pub(crate) fn version_of(surge: &Path) -> Result<String> {
    first_line(Command::new(surge).arg("--version"))
}

/// What the worker at this path computes as.
pub(crate) fn class_of(worker: &Path) -> Result<String> {
    first_line(Command::new(worker).arg("--runtime-class"))
}

fn first_line(command: &mut Command) -> Result<String> {
    let told = Told::of(command)?;
    ensure!(told.status == Some(0), "{command:?}: {told:?}");
    Ok(told.out.lines().next().unwrap_or_default().to_owned())
}

/// Where `wanted` begins in `bytes`.
fn places(bytes: &[u8], wanted: &[u8]) -> Vec<usize> {
    bytes.windows(wanted.len()).enumerate().filter(|(_, there)| *there == wanted).map(|(place, _)| place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_build_runs_and_tells_another_version() {
        let build = SecondBuild::new().unwrap();
        for (ask, name) in [(version_of as fn(&Path) -> _, "surge"), (class_of, "surge-worker")] {
            let (first, second) = (ask(&program(name)).unwrap(), ask(&build.program(name)).unwrap());
            assert_eq!(first.len(), second.len(), "{first}, {second}");
            assert_ne!(first, second);
        }
    }
}
