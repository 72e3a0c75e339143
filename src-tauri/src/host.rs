//! Who looks after the engine's process: this user, or the computer.

/// Who started the engine and decides when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Host {
    /// This user, by hand or through a shell.
    User,
    /// The service manager of this user's session, which starts it again after a crash.
    UserService,
    /// The computer's service manager, or another user: not for this user to end.
    System,
}

/// Who looks after the process `pid`.
#[cfg(target_os = "linux")]
pub(crate) fn of(pid: u32) -> Host {
    use std::os::unix::fs::MetadataExt;
    let owner = |process: &str| std::fs::metadata(format!("/proc/{process}")).map(|of| of.uid()).ok();
    if owner(&pid.to_string()) != owner("self") {
        return Host::System;
    }
    by_group(&std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default())
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn of(_pid: u32) -> Host {
    Host::User
}

/// By the control groups of a process of this user, as systemd names them.
#[cfg(target_os = "linux")]
fn by_group(groups: &str) -> Host {
    match groups.lines().find(|group| group.ends_with("/surge.service")) {
        Some(group) if group.contains("/user.slice/") => Host::UserService,
        Some(_) => Host::System,
        None => Host::User,
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_process_of_this_user_belongs_to_this_user() {
        assert_eq!(of(std::process::id()), by_group(&std::fs::read_to_string("/proc/self/cgroup").unwrap()));
        assert_eq!(of(u32::MAX), Host::System, "a process that is gone is not ours to end");
    }

    #[test]
    fn systemd_names_the_service() {
        let user = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/surge.service\n";
        assert_eq!(by_group(user), Host::UserService);
        assert_eq!(by_group("12:pids:/\n1:name=systemd:/system.slice/surge.service\n"), Host::System);
        let scope = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome-surge-71.scope\n";
        assert_eq!(by_group(scope), Host::User);
    }
}
