//! Linux: the first line of `/proc/stat`. sysinfo sums all CPU time; the kernel keeps positive nice values, and with
//! them the idle class that our workers run in, in a column of their own. Memory pressure is PSI's.

use std::io;
use std::path::Path;

mod cgroup;

pub(super) use cgroup::Group;

/// The machine's CPU time since boot, in ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CpuTimes {
    /// user + system + irq + softirq + steal.
    busy: u64,
    nice: u64,
    total: u64,
}

/// By the line `VmRSS:      1234 kB` of its status.
pub(super) fn resident_bytes(pid: u32) -> Option<u64> {
    let status = crate::kernel::text(Path::new(&format!("/proc/{pid}/status")))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

/// "some avg10" of `/proc/pressure/memory`; `None` on kernels without PSI.
pub(super) fn memory_pressure() -> Option<f32> {
    pressure(&crate::kernel::text(Path::new("/proc/pressure/memory"))?)
}

fn pressure(text: &str) -> Option<f32> {
    let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let average = some.split_whitespace().find_map(|word| word.strip_prefix("avg10="))?;
    average.parse().ok().filter(|percent| (0.0..=100.0).contains(percent))
}

impl CpuTimes {
    pub(super) fn now() -> io::Result<Self> {
        let text = std::fs::read_to_string("/proc/stat")?;
        Self::parse(&text).ok_or_else(|| io::Error::other("/proc/stat is not what Linux writes"))
    }

    fn parse(text: &str) -> Option<Self> {
        let columns = text.lines().next()?.strip_prefix("cpu ")?;
        let ticks: Vec<u64> = columns.split_whitespace().map(str::parse).collect::<Result<_, _>>().ok()?;
        let [user, nice, system, idle, iowait, irq, softirq, steal, ..] = ticks[..] else { return None };
        let busy = user + system + irq + softirq + steal;
        Some(Self { busy, nice, total: busy + nice + idle + iowait })
    }

    /// Share of all CPU time since `before` that was busy, percent. No time passed: 0.
    pub(super) fn busy_percent_since(&self, before: &Self) -> f32 {
        let total = self.total.saturating_sub(before.total);
        if total == 0 {
            return 0.0;
        }
        self.busy.saturating_sub(before.busy) as f32 * 100.0 / total as f32
    }

    /// The same with what runs at low priority.
    pub(super) fn all_percent_since(&self, before: &Self) -> f32 {
        let with_nice = |times: &Self| Self { busy: times.busy + times.nice, ..*times };
        with_nice(self).busy_percent_since(&with_nice(before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_class_work_is_not_load() {
        let before = CpuTimes::parse("cpu  100 0 100 1000 0 0 0 0 0 0\ncpu0 ...\n").unwrap();
        let nice = CpuTimes::parse("cpu  100 500 100 1500 0 0 0 0 0 0\n").unwrap();
        assert_eq!(nice.busy_percent_since(&before), 0.0);
        assert_eq!(nice.all_percent_since(&before), 50.0);
        let busy = CpuTimes::parse("cpu  600 0 100 1500 0 0 0 0 0 0\n").unwrap();
        assert_eq!(busy.busy_percent_since(&before), 50.0);
    }

    #[test]
    fn this_machine_tells() {
        let now = CpuTimes::now().unwrap();
        assert!(now.total > 0);
        assert_eq!(now.busy_percent_since(&now), 0.0);
    }

    #[test]
    fn pressure_is_what_some_program_waited_for() {
        let text = "some avg10=12.50 avg60=3.00 avg300=0.10 total=12\nfull avg10=9.00 avg60=0.00 avg300=0.00 total=3";
        assert_eq!(pressure(text), Some(12.5));
        for text in ["", "some", "some avg10=", "some avg10=x", "some avg10=-3", "some avg10=NaN", "full avg10=9.00"] {
            assert_eq!(pressure(text), None, "{text:?}");
        }
    }

    #[test]
    fn what_linux_does_not_write_is_refused() {
        for text in ["", "cpu 1 2 3\n", "cpu  a b c d e f g h\n", "intr 5\n"] {
            assert_eq!(CpuTimes::parse(text), None, "{text:?}");
        }
    }
}
