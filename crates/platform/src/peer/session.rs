//! The login session that a process belongs to, by the rule of systemd's sd-login, which elogind follows too: the control
//! group names it; a service of the user's own manager belongs to the session on the user's display.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::Pid;
use thiserror::Error;

/// Where the login service keeps a file for each session and each user.
const LOGINS: &str = "/run/systemd";

/// Why a process speaks for no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NoSession {
    #[error("this process belongs to no login session")]
    None,
    #[error("this process belongs to a session of another user")]
    Anothers,
    #[error("this process has ended")]
    Gone,
}

impl NoSession {
    /// A stable word for programs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::None | Self::Gone => "no_session",
            Self::Anothers => "anothers_session",
        }
    }
}

/// The session of `pid`, which must be one of `uid`'s.
pub(super) fn of(pid: Pid, uid: u32) -> Result<String, NoSession> {
    let groups = fs::read_to_string(format!("/proc/{}/cgroup", pid.as_raw_nonzero())).map_err(|_| NoSession::Gone)?;
    in_groups(&groups, uid, &Logins(LOGINS.into()))
}

/// Whether the session has ended, or ends: its user has logged out.
#[must_use]
pub fn ended(session: &str) -> bool {
    Logins(LOGINS.into()).ended(session)
}

/// The login service's files.
struct Logins(PathBuf);

impl Logins {
    fn owner(&self, session: &str) -> Option<u32> {
        field(&self.0.join("sessions").join(session), "UID")?.parse().ok()
    }

    /// The session on the display of a user.
    fn display(&self, uid: u32) -> Option<String> {
        field(&self.0.join("users").join(uid.to_string()), "DISPLAY")
    }

    fn ended(&self, session: &str) -> bool {
        field(&self.0.join("sessions").join(session), "STATE").is_none_or(|state| state == "closing")
    }
}

/// The value of a line `NAME=value`.
fn field(file: &Path, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned)
}

fn in_groups(groups: &str, uid: u32, logins: &Logins) -> Result<String, NoSession> {
    let session = match place(groups).ok_or(NoSession::None)? {
        Place::Session(session) => session,
        // A user may only speak for their own display.
        Place::User(user) if user != uid => return Err(NoSession::Anothers),
        Place::User(user) => logins.display(user).ok_or(NoSession::None)?,
    };
    match logins.owner(&session) {
        None => Err(NoSession::None),
        Some(owner) if owner != uid => Err(NoSession::Anothers),
        Some(_) => Ok(session),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Place {
    Session(String),
    /// A user's own service manager, and what it runs.
    User(u32),
}

/// Where the lines of `/proc/PID/cgroup` place a process. Only root makes groups above `user.slice`, and only the login
/// service those right below it: whatever a user makes is further down, and not looked at.
fn place(groups: &str) -> Option<Place> {
    let of_systemd = |line: &str| {
        let (hierarchy, path) = line.split_once(':')?.1.split_once(':')?;
        (hierarchy.is_empty() || hierarchy == "name=systemd").then(|| path.to_owned())
    };
    groups.lines().filter_map(of_systemd).find_map(|path| {
        let mut parts = path.split('/').skip_while(|part| *part != "user.slice").skip(1);
        let slice = parts.next()?;
        slice.strip_prefix("user-")?.strip_suffix(".slice")?.parse::<u32>().ok()?;
        let unit = parts.next()?;
        if let Some(session) = unit.strip_prefix("session-").and_then(|unit| unit.strip_suffix(".scope")) {
            let valid = !session.is_empty() && session.bytes().all(|byte| byte.is_ascii_alphanumeric());
            return valid.then(|| Place::Session(session.to_owned()));
        }
        let user = unit.strip_prefix("user@")?.strip_suffix(".service")?;
        user.parse().ok().map(Place::User)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two users on their displays, of whom alice has a second session.
    fn logins() -> (tempfile::TempDir, Logins) {
        let folder = tempfile::tempdir().unwrap();
        let logins = Logins(folder.path().to_owned());
        for (path, text) in [
            ("sessions/2", "# private\nUID=1000\nSTATE=active\nTYPE=wayland\n"),
            ("sessions/c3", "UID=1000\nSTATE=closing\n"),
            ("sessions/7", "UID=1001\nSTATE=online\n"),
            ("users/1000", "NAME=alice\nDISPLAY=2\n"),
            ("users/1001", "NAME=bob\nDISPLAY=7\n"),
            ("users/1002", "NAME=carol\n"),
        ] {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        (folder, logins)
    }

    #[test]
    fn the_control_group_names_the_session_in_every_version_of_it() {
        for groups in [
            "0::/user.slice/user-1000.slice/session-2.scope\n",
            "4:memory:/a\n1:name=systemd:/user.slice/user-1000.slice/session-2.scope\n0::/\n",
            "0::/system.slice/container.service/user.slice/user-1000.slice/session-2.scope\n",
            "0::/user.slice/user-1000.slice/session-2.scope/below/it\n",
        ] {
            assert_eq!(place(groups), Some(Place::Session("2".into())), "{groups}");
        }
        let service = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/surge-session.service\n";
        assert_eq!(place(service), Some(Place::User(1000)));
    }

    #[test]
    fn groups_that_a_user_can_make_are_not_believed() {
        let own = "user.slice/user-1000.slice/user@1000.service";
        for made in ["session-7.scope", "app.slice/session-7.scope", "user.slice/user-1001.slice/session-7.scope"] {
            assert_eq!(place(&format!("0::/{own}/{made}\n")), Some(Place::User(1000)), "{made}");
        }
        for nowhere in [
            "",
            "nonsense\n",
            "0::/\n",
            "0::/system.slice/cron.service\n",
            "0::/user.slice/session-7.scope\n",
            "0::/user.slice/user-1000.slice/session-../../x.scope\n",
            "0::/user.slice/user-1000.slice/session-.scope\n",
            "4:memory:/user.slice/user-1000.slice/session-7.scope\n",
        ] {
            assert_eq!(place(nowhere), None, "{nowhere}");
        }
    }

    #[test]
    fn only_the_session_of_its_own_user_is_spoken_for() {
        let (_folder, logins) = logins();
        let of = |path: &str, uid| in_groups(&format!("0::/user.slice/{path}\n"), uid, &logins);
        assert_eq!(of("user-1000.slice/session-2.scope", 1000), Ok("2".into()));
        assert_eq!(of("user-1000.slice/session-c3.scope", 1000), Ok("c3".into()));
        assert_eq!(of("user-1000.slice/user@1000.service/x.service", 1000), Ok("2".into()));
        // As after `su bob` in alice's session.
        assert_eq!(of("user-1000.slice/session-2.scope", 1001), Err(NoSession::Anothers));
        assert_eq!(of("user-1000.slice/user@1000.service/x.service", 1001), Err(NoSession::Anothers));
        assert_eq!(of("user-1002.slice/user@1002.service/x.service", 1002), Err(NoSession::None), "no display");
        assert_eq!(of("user-1000.slice/session-99.scope", 1000), Err(NoSession::None), "no such session");
    }

    #[test]
    fn a_session_without_a_file_or_that_closes_has_ended() {
        let (_folder, logins) = logins();
        assert!(!logins.ended("2") && !logins.ended("7"));
        assert!(logins.ended("c3") && logins.ended("99"));
    }
}
