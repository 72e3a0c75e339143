//! A worker that the kernel kills for want of memory.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::Bed;
use crate::process::is_running;

impl Bed {
    pub(super) fn out_of_memory(&self) -> Result<String> {
        let (worker, before) = (self.worker()?, self.machine.property("surge", "MainPID")?);
        let bound = MemoryBound::new()?;
        let how = bound.put_under(worker)?;
        self.machine.wait("the worker's death", || Ok((!is_running(worker)).then_some(())))?;
        ensure!(bound.kills()? > 0, "the kernel killed nobody for memory");
        drop(bound);
        self.worker()?;
        let after = self.machine.property("surge", "MainPID")?;
        ensure!(before == after, "the engine was restarted: {before}, {after}");
        ensure!(self.machine.property("surge", "ActiveState")? == "active", "the unit is not active");
        ensure!(self.machine.property("surge", "OOMPolicy")? == "continue", "the unit's policy");
        Ok(format!("killed by {how}; the engine {after} goes on, and has another worker"))
    }
}

/// A bound on the memory that one process may take from now on, by the control groups that this kernel has.
struct MemoryBound {
    group: PathBuf,
}

impl MemoryBound {
    fn new() -> Result<Self> {
        let v1 = Path::new("/sys/fs/cgroup/memory");
        let (root, limit) = match v1.join("memory.limit_in_bytes").exists() {
            true => (v1, "memory.limit_in_bytes"),
            false => (Path::new("/sys/fs/cgroup"), "memory.max"),
        };
        let bound = Self { group: root.join(format!("surge-test-{}", std::process::id())) };
        fs::create_dir(&bound.group)?;
        // Less than the module takes each time.
        fs::write(bound.group.join(limit), (512 << 10).to_string()).context(limit)?;
        Ok(bound)
    }

    /// Returns who kills then.
    fn put_under(&self, pid: u32) -> Result<&'static str> {
        fs::write(self.group.join("cgroup.procs"), pid.to_string())?;
        Ok(match self.group.join("memory.max").exists() {
            true => "the kernel (cgroup v2)",
            false => "the kernel (cgroup v1, where systemd does not hear of it)",
        })
    }

    fn kills(&self) -> Result<u64> {
        let events = ["memory.events", "memory.oom_control"].map(|name| self.group.join(name));
        let events = events.into_iter().find(|path| path.exists()).context("no count of kills")?;
        let text = fs::read_to_string(events)?;
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.parse().ok());
        count.context("no count of kills")
    }
}

impl Drop for MemoryBound {
    fn drop(&mut self) {
        // A process that is still in it keeps it, which a failed row has told.
        let _ = fs::remove_dir(&self.group);
    }
}
