//! The memory limits of the control group that this process is in, and of all groups around it: a process can't leave
//! any of them. Version 2, version 1, and both side by side (`Documentation/admin-guide/cgroup-v2.rst`,
//! `cgroup-v1/memory.rst`).

use std::path::{Path, PathBuf};

use crate::kernel;

/// A limit of this much or more is none: version 1 has no word for "unlimited", and says the largest number of pages.
const NO_LIMIT: u64 = 1 << 60;

/// The group's folder in one hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Folder {
    /// Where the hierarchy begins.
    top: PathBuf,
    group: PathBuf,
    files: &'static Files,
}

/// What the kernel calls its files.
#[derive(Debug, PartialEq, Eq)]
struct Files {
    limits: &'static [&'static str],
    usage: &'static str,
    /// In `memory.stat`: files that were read long ago, which the kernel drops when somebody needs the memory.
    reclaimable: &'static str,
}

static V2: Files =
    Files { limits: &["memory.max", "memory.high"], usage: "memory.current", reclaimable: "inactive_file" };
static V1: Files =
    Files { limits: &["memory.limit_in_bytes"], usage: "memory.usage_in_bytes", reclaimable: "total_inactive_file" };

/// The group of this process, in every hierarchy that limits memory.
#[derive(Debug, Default)]
pub(in crate::load) struct Group(Vec<Folder>);

impl Group {
    /// The group of this process.
    pub(in crate::load) fn own() -> Self {
        Self::find(Path::new("/"))
    }

    /// The group of this process on the machine whose files are below `root`.
    fn find(root: &Path) -> Self {
        let text = |path: &str| kernel::text(&root.join(path)).unwrap_or_default();
        let folders = folders(&text("proc/self/cgroup"), &text("proc/self/mountinfo"));
        let below = |path: PathBuf| root.join(path.strip_prefix("/").unwrap_or(&path));
        let below = |folder: Folder| Folder { top: below(folder.top), group: below(folder.group), ..folder };
        Self(folders.into_iter().map(below).collect())
    }

    /// The lowest limit, bytes.
    pub(in crate::load) fn limit(&self) -> Option<u64> {
        self.levels().filter_map(|(folder, files)| limit(&folder, files)).min()
    }

    /// What can still be had below every limit, bytes.
    pub(in crate::load) fn available(&self) -> Option<u64> {
        let available = |(folder, files): (PathBuf, &Files)| {
            let limit = limit(&folder, files)?;
            let usage: u64 = kernel::number(&folder.join(files.usage))?;
            let stat = kernel::text(&folder.join("memory.stat")).unwrap_or_default();
            let reclaimable = stat.lines().find_map(|line| line.strip_prefix(files.reclaimable)?.trim().parse().ok());
            Some(limit.saturating_sub(usage.saturating_sub(reclaimable.unwrap_or(0))))
        };
        self.levels().filter_map(available).min()
    }

    /// The group and all around it.
    fn levels(&self) -> impl Iterator<Item = (PathBuf, &'static Files)> {
        let levels = |folder: &Folder| {
            let around = folder.group.ancestors().take_while(|level| level.starts_with(&folder.top));
            around.map(|level| (level.to_owned(), folder.files)).collect::<Vec<_>>()
        };
        self.0.iter().flat_map(levels)
    }
}

fn limit(folder: &Path, files: &Files) -> Option<u64> {
    // "max" is no number.
    let limits = files.limits.iter().filter_map(|file| kernel::number(&folder.join(file)));
    limits.filter(|limit| *limit < NO_LIMIT).min()
}

/// The group's folders by `/proc/self/cgroup` and `/proc/self/mountinfo`.
fn folders(groups: &str, mounts: &str) -> Vec<Folder> {
    let mounts: Vec<Mount> = mounts.lines().filter_map(Mount::parse).collect();
    let folder = |line: &str| {
        // The number of the hierarchy, its controllers, the group. Version 2 is number 0, and names none.
        let (_, line) = line.split_once(':')?;
        let (controllers, group) = line.split_once(':')?;
        let files = match controllers {
            "" => &V2,
            names if names.split(',').any(|name| name == "memory") => &V1,
            _ => return None,
        };
        let mount = mounts.iter().find(|mount| mount.files == files)?;
        // A container sees a part of the hierarchy only, which may be mounted as if it were the whole.
        let group = Path::new(group);
        let within = group.strip_prefix(&mount.root).or_else(|_| group.strip_prefix("/")).ok()?;
        let escapes = within.components().any(|part| part == std::path::Component::ParentDir);
        let group = if escapes { mount.point.clone() } else { mount.point.join(within) };
        Some(Folder { top: mount.point.clone(), group, files })
    };
    groups.lines().filter_map(folder).collect()
}

/// A place where a hierarchy is mounted.
#[derive(Debug)]
struct Mount {
    /// The group that is to be seen there.
    root: PathBuf,
    point: PathBuf,
    files: &'static Files,
}

impl Mount {
    /// proc_pid_mountinfo(5).
    fn parse(line: &str) -> Option<Self> {
        let (place, system) = line.split_once(" - ")?;
        let [_, _, _, root, point, ..] = place.split(' ').collect::<Vec<_>>()[..] else { return None };
        let [kind, _, options] = system.splitn(3, ' ').collect::<Vec<_>>()[..] else { return None };
        let files = match kind {
            "cgroup2" => &V2,
            "cgroup" if options.split(',').any(|option| option == "memory") => &V1,
            _ => return None,
        };
        Some(Self { root: root.into(), point: point.into(), files })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    const MIB: u64 = 1 << 20;

    /// A machine of files.
    struct Machine(tempfile::TempDir);

    impl Machine {
        fn new(groups: &str, mounts: &str) -> Self {
            let machine = Self(tempfile::tempdir().unwrap());
            machine.set("proc/self/cgroup", groups);
            machine.set("proc/self/mountinfo", mounts);
            machine
        }

        fn set(&self, path: &str, text: impl ToString) {
            let path = self.0.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text.to_string() + "\n").unwrap();
        }

        fn tells(&self) -> (Option<u64>, Option<u64>) {
            let group = Group::find(self.0.path());
            (group.limit(), group.available())
        }
    }

    const V2_MOUNT: &str = "31 24 0:27 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate";

    #[test]
    fn the_lowest_limit_of_all_groups_around_counts() {
        let machine = Machine::new("0::/user.slice/app.scope", V2_MOUNT);
        assert_eq!(machine.tells(), (None, None), "nobody limits anything");
        for level in ["", "/user.slice", "/user.slice/app.scope"] {
            machine.set(&format!("sys/fs/cgroup{level}/memory.max"), "max");
            machine.set(&format!("sys/fs/cgroup{level}/memory.high"), "max");
            machine.set(&format!("sys/fs/cgroup{level}/memory.current"), 300 * MIB);
        }
        assert_eq!(machine.tells(), (None, None));
        machine.set("sys/fs/cgroup/user.slice/app.scope/memory.max", 2048 * MIB);
        assert_eq!(machine.tells(), (Some(2048 * MIB), Some(1748 * MIB)));
        machine.set("sys/fs/cgroup/user.slice/memory.high", 1024 * MIB);
        machine.set("sys/fs/cgroup/user.slice/memory.current", 900 * MIB);
        machine.set("sys/fs/cgroup/user.slice/memory.stat", format!("anon 1\ninactive_file {}\nx 2", 100 * MIB));
        assert_eq!(machine.tells(), (Some(1024 * MIB), Some(224 * MIB)), "files that were read can go");
        machine.set("sys/fs/cgroup/user.slice/memory.current", 2000 * MIB);
        assert_eq!(machine.tells().1, Some(0));
    }

    #[test]
    fn a_container_sees_its_group_as_the_whole() {
        for (groups, mounts) in [
            ("0::/", "1 0 0:1 / /sys/fs/cgroup ro - cgroup2 cgroup rw"),
            ("0::/docker/7", "1 0 0:1 /docker/7 /sys/fs/cgroup ro - cgroup2 cgroup rw"),
            ("0::/../../elsewhere", "1 0 0:1 / /sys/fs/cgroup ro - cgroup2 cgroup rw"),
        ] {
            let machine = Machine::new(groups, mounts);
            machine.set("sys/fs/cgroup/memory.max", 512 * MIB);
            machine.set("sys/fs/cgroup/memory.current", 12 * MIB);
            assert_eq!(machine.tells(), (Some(512 * MIB), Some(500 * MIB)), "{groups}");
        }
    }

    #[test]
    fn version_1_counts_too_and_its_largest_number_is_no_limit() {
        let groups = "5:cpu,cpuacct:/other\n4:memory:/system.slice/surge.service\n0::/system.slice/surge.service";
        let mounts = "1 0 0:1 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n\
            2 0 0:2 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
            3 0 0:3 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw";
        let machine = Machine::new(groups, mounts);
        let own = "sys/fs/cgroup/memory/system.slice/surge.service";
        machine.set("sys/fs/cgroup/memory/memory.limit_in_bytes", 9_223_372_036_854_771_712_u64);
        assert_eq!(machine.tells(), (None, None));
        machine.set(&format!("{own}/memory.limit_in_bytes"), 800 * MIB);
        machine.set(&format!("{own}/memory.usage_in_bytes"), 700 * MIB);
        machine.set(&format!("{own}/memory.stat"), format!("inactive_file 7\ntotal_inactive_file {}", 50 * MIB));
        assert_eq!(machine.tells(), (Some(800 * MIB), Some(150 * MIB)));
    }

    proptest! {
        #[test]
        fn any_text_can_be_read(groups in "[0-9:/a-z,.\n]{0,80}", mounts in "[0-9/a-z -]{0,120}") {
            for folder in folders(&groups, &mounts) {
                prop_assert!(folder.group.starts_with(&folder.top));
            }
        }
    }
}
