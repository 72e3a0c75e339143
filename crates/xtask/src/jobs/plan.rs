//! A job ready to submit: what each task reads, and the description that `surge submit` reads.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::module;

/// Executions of each task that must agree.
const QUORUM: u8 = 2;
/// Time for the whole job.
const DEADLINE_MINUTES: u64 = 60;

/// What a requester orders.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) job: &'static str,
    /// What contributors see.
    pub(super) title: &'static str,
    /// Tokens for one accepted execution.
    pub(super) price: &'static str,
    pub(super) memory_mib: u64,
    /// Standard input of each task.
    pub(super) inputs: Vec<Vec<u8>>,
    /// Data sets by the name under `/data`.
    pub(super) data: Vec<(&'static str, PathBuf)>,
}

impl Plan {
    /// Writes `inputs/NNN.txt` and `job.toml`.
    pub(super) fn write(&self, seed: u64, folder: &Path) -> Result<PathBuf> {
        let inputs = folder.join("inputs");
        fs::create_dir_all(&inputs).with_context(|| format!("{} can't be made", inputs.display()))?;
        for (i, input) in self.inputs.iter().enumerate() {
            let file = inputs.join(format!("{i:03}.txt"));
            fs::write(&file, input).with_context(|| format!("{} can't be written", file.display()))?;
        }
        let file = folder.join("job.toml");
        fs::write(&file, self.description(seed)?).with_context(|| format!("{} can't be written", file.display()))?;
        Ok(file)
    }

    fn description(&self, seed: u64) -> Result<String> {
        let files: Vec<_> = (0..self.inputs.len()).map(|i| format!("  \"inputs/{i:03}.txt\",\n")).collect();
        let mut text = format!(
            "name = {}\nmodule = {}\nprice = {}\nquorum = {QUORUM}\n# A TOML number ends at 2^63.\nseed = {}\n\
             deadline_minutes = {DEADLINE_MINUTES}\ninputs = [\n{}]\n\n[limits]\nmemory_mib = {}\n",
            quoted(self.title)?,
            quoted_path(&module(self.job))?,
            quoted(self.price)?,
            seed & (u64::MAX >> 1),
            files.concat(),
            self.memory_mib,
        );
        if !self.data.is_empty() {
            text.push_str("\n[data]\n");
        }
        for (name, path) in &self.data {
            writeln!(text, "{} = {}", quoted(name)?, quoted_path(path)?)?;
        }
        Ok(text)
    }
}

/// A TOML string; its escapes are JSON's.
fn quoted(text: &str) -> Result<String> {
    Ok(serde_json::to_string(text)?)
}

fn quoted_path(path: &Path) -> Result<String> {
    quoted(path.to_str().with_context(|| format!("{} is not text", path.display()))?)
}

#[cfg(test)]
mod tests {
    use crate::jobs::{NAMES, plan, write_plan};
    use std::collections::HashSet;

    #[test]
    fn a_description_names_files_that_are_there() {
        for job in NAMES {
            let folder = tempfile::tempdir().unwrap();
            let file = write_plan(job, u64::MAX, folder.path()).unwrap();
            let description: toml::Table = std::fs::read_to_string(&file).unwrap().parse().unwrap();
            let inputs = description["inputs"].as_array().unwrap();
            assert_eq!(inputs.len(), plan(job, u64::MAX).unwrap().inputs.len());
            for (input, expected) in inputs.iter().zip(plan(job, u64::MAX).unwrap().inputs) {
                assert_eq!(std::fs::read(folder.path().join(input.as_str().unwrap())).unwrap(), expected);
            }
            let module = std::fs::read(description["module"].as_str().unwrap()).unwrap();
            assert_eq!(&module[..4], b"\0asm");
            let data = description.get("data").map(|data| data.as_table().unwrap().clone()).unwrap_or_default();
            for (name, path) in data {
                assert!(std::path::Path::new(path.as_str().unwrap()).is_file(), "{name}");
            }
        }
    }

    #[test]
    fn a_seed_changes_every_input_and_decides_it() {
        for job in NAMES {
            let inputs: Vec<_> = [1, 2, 3, 1 << 40].iter().flat_map(|&seed| plan(job, seed).unwrap().inputs).collect();
            assert_eq!(inputs.iter().collect::<HashSet<_>>().len(), inputs.len(), "{job}");
            assert_eq!(plan(job, 1).unwrap().inputs, inputs[..plan(job, 1).unwrap().inputs.len()]);
        }
    }

    #[test]
    fn an_unknown_job_is_named() {
        assert!(plan("chess", 1).unwrap_err().to_string().contains("chess"));
    }
}
