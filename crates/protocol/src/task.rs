//! What a task is: a module, arguments, input, data sets, limits and a seed.

use serde::{Deserialize, Serialize};

use crate::Digest;

/// The hard limits of one task. Every one of them ends the task with its own code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Linear memory, bytes.
    pub memory_bytes: u64,
    /// CPU time on the worker's own clock, milliseconds. Time spent suspended does not count.
    pub cpu_ms: u64,
    /// Standard output, bytes.
    pub output_bytes: u64,
    /// Standard error, bytes; what exceeds it is dropped, the task goes on.
    pub log_bytes: u64,
    /// Files and directories that the task may create in memory, bytes in total.
    pub files_bytes: u64,
}

impl Limits {
    /// The most CPU time that a task may ask for which never syncs in `/state`, milliseconds: what a kill may cost.
    pub const CPU_MS_WITHOUT_CHECKPOINTS: u64 = 600_000;

    /// Whether a task with `left_ms` to its deadline has time to spare: so much that somebody who computes a tenth of the
    /// time would still be done with it from its beginning. Such a task may stay with a node that is paused for long.
    #[must_use]
    pub const fn has_slack(&self, left_ms: u64) -> bool {
        left_ms >= self.cpu_ms.saturating_mul(10)
    }
}

impl Default for Limits {
    /// 1 GiB of memory, 10 CPU minutes, 64 MiB of output.
    fn default() -> Self {
        Self {
            memory_bytes: 1 << 30,
            cpu_ms: 600_000,
            output_bytes: 64 << 20,
            log_bytes: 1 << 20,
            files_bytes: 256 << 20,
        }
    }
}

/// How work is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Meter {
    /// A price per task; the program runs at full speed.
    None,
    /// Every operator is counted; the task ends when `budget` is used up.
    Fuel { budget: u64 },
}

/// A read-only data set, shown to the program as `/data/NAME`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataSet {
    /// One path component: letters, digits, `.`, `_`, `-`, at most 100.
    pub name: String,
    pub digest: Digest,
    /// Size in bytes.
    pub size: u64,
}

/// Whether `name` may name a data set.
#[must_use]
pub fn valid_data_name(name: &str) -> bool {
    (1..=100).contains(&name.len())
        && name != "."
        && name != ".."
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// A blob by content and size, so that a receiver can refuse before it downloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BlobRef {
    pub digest: Digest,
    /// Size in bytes.
    pub size: u64,
}

/// One task, as a contributor receives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskSpec {
    pub module: BlobRef,
    /// The program's arguments, without its name.
    pub args: Vec<String>,
    /// Standard input.
    pub stdin: BlobRef,
    pub data: Vec<DataSet>,
    pub limits: Limits,
    pub meter: Meter,
    /// Seeds the program's random numbers: the same for every replica of the task.
    pub seed: u64,
}
