//! How busy this machine is with what its owner runs.

use std::sync::OnceLock;

use sysinfo::{MemoryRefreshKind, RefreshKind, System};

use crate::patience::{PATIENCE, within};

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as os;
#[cfg(not(target_os = "linux"))]
mod portable;
#[cfg(not(target_os = "linux"))]
use portable as os;

/// Load as of the last reading.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    /// CPU of programs at normal priority, percent of all cores. Work at idle priority, ours and others', gives way by
    /// itself and is not load.
    pub cpu_percent: f32,
    /// Memory that can be had without swapping, bytes: of the machine, or of the control group that this process may
    /// not leave, whichever is less.
    pub available_bytes: u64,
    /// Part of the last ten seconds in which some program waited for memory, percent (PSI's `some avg10`); `None`
    /// where the system does not tell.
    pub memory_pressure: Option<f32>,
}

/// Reads the machine's load.
#[derive(Debug)]
pub(crate) struct LoadMeter {
    system: System,
    group: os::Group,
    before: os::CpuTimes,
    all_percent: f32,
}

impl LoadMeter {
    /// # Errors
    /// Where this system does not tell.
    pub(crate) fn new() -> std::io::Result<Self> {
        let system =
            System::new_with_specifics(RefreshKind::nothing().with_memory(ram())).map_err(std::io::Error::other)?;
        Ok(Self { system, group: os::Group::own(), before: os::CpuTimes::now()?, all_percent: 0.0 })
    }

    /// The load since the reading before. What can't be read counts as fully loaded.
    pub(crate) fn read(&mut self) -> Load {
        let now = os::CpuTimes::now();
        let cpu_percent = now.as_ref().map_or(100.0, |now| now.busy_percent_since(&self.before));
        if let Ok(now) = now {
            self.all_percent = now.all_percent_since(&self.before);
            self.before = now;
        }
        let (available_bytes, memory_pressure) = self.memory();
        Load { cpu_percent, available_bytes, memory_pressure }
    }

    /// Memory that can be had now, bytes, and the pressure on it, percent.
    pub(crate) fn memory(&mut self) -> (u64, Option<f32>) {
        self.system.refresh_memory_specifics(ram());
        let available = self.system.available_memory();
        (self.group.available().map_or(available, |group| group.min(available)), os::memory_pressure())
    }

    /// CPU of all programs over the last reading, percent of all cores: work at idle priority, ours too, warms the
    /// processor as well.
    pub(crate) const fn all_percent(&self) -> f32 {
        self.all_percent
    }
}

fn ram() -> MemoryRefreshKind {
    MemoryRefreshKind::nothing().with_ram()
}

/// Memory that the process `pid` has now, bytes; 0 where it is gone or the system does not tell.
#[must_use]
pub fn resident_bytes(pid: u32) -> u64 {
    os::resident_bytes(pid).unwrap_or(0)
}

/// Memory that this process may use at most, bytes: the machine's, or that of the control group that it may not leave,
/// whichever is less; 0 where the system does not tell.
#[must_use]
pub fn memory_bytes() -> u64 {
    let read = || {
        let ram = RefreshKind::nothing().with_memory(ram());
        let machine = System::new_with_specifics(ram).map_or(0, |system| system.total_memory());
        os::Group::own().limit().map_or(machine, |group| group.min(machine))
    };
    within("memory", PATIENCE, read).unwrap_or(0)
}

/// Cores that programs may use, as of the first call: asking reads files, and the answer is wanted every second.
#[must_use]
pub fn cores() -> u32 {
    static CORES: OnceLock<u32> = OnceLock::new();
    let read =
        || std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(u32::MAX));
    *CORES.get_or_init(|| within("cores", PATIENCE, read).unwrap_or(1))
}
