//! For tests and fuzzers: whether files and descriptors add up.

use super::Wasi;
use crate::fs::Fs;

impl Wasi {
    pub(crate) const fn fs(&self) -> &Fs {
        &self.fs
    }

    /// # Errors
    /// What does not add up.
    pub(crate) fn audit(&self) -> Result<(), String> {
        self.fs.audit(&self.fds.nodes())
    }
}
