//! Who may do what over the control socket, by the user that the kernel says is there.
//!
//! | whose engine | Owner | Operator | Viewer | nobody |
//! | --- | --- | --- | --- | --- |
//! | a user's own | that user, root | | | everybody else |
//! | the system service's | its user, root | the members of its group | everybody else | |

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use surge_client::wire::{Request, Role};
use surge_platform::paths::Paths;
use surge_platform::peer::Peer;

use crate::view::Snapshot;

/// Settings whose values are names of people's programs.
const NAMES_OF_PROGRAMS: [&str; 2] = ["excluded_programs", "ignored_programs"];

/// Whose engine this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// A user's own.
    User { uid: u32 },
    /// The system service's. Who belongs to its group may pause it.
    Machine { uid: u32, group: u32 },
}

impl Access {
    /// To the engine of `paths`, which is this process.
    pub(crate) fn to(paths: &Paths) -> Self {
        let (uid, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        if paths.is_system() { Self::Machine { uid, group } } else { Self::User { uid } }
    }

    /// What `peer` may do; `None` for nothing at all.
    pub(crate) fn role(self, peer: &Peer) -> Option<Role> {
        let (Self::User { uid } | Self::Machine { uid, .. }) = self;
        // Root could read the engine's memory: its question is answered.
        if peer.uid == uid || peer.uid == 0 {
            return Some(Role::Owner);
        }
        match self {
            Self::User { .. } => None,
            Self::Machine { group, .. } if peer.groups.contains(&group) => Some(Role::Operator),
            Self::Machine { .. } => Some(Role::Viewer),
        }
    }

    /// Who may open the socket. Its folder lets nobody but the engine's user put anything there.
    pub(crate) fn socket_permissions(self) -> Permissions {
        Permissions::from_mode(match self {
            Self::User { .. } => 0o600,
            Self::Machine { .. } => 0o666,
        })
    }
}

/// Who may make a request that somebody was refused, for people.
pub(crate) fn who_may(request: &Request) -> &'static str {
    if Role::Operator.may(request) {
        "this is the engine of the whole computer: only root and the members of the group surge may pause and resume it"
    } else {
        "this is the engine of the whole computer: only root may do that"
    }
}

/// What `role` may see of the state: a viewer no names of programs that other people use.
pub(crate) fn redacted(mut snapshot: Snapshot, role: Role) -> Snapshot {
    if matches!(role, Role::Owner | Role::Operator) {
        return snapshot;
    }
    for reason in snapshot.reasons.iter_mut().chain(&mut snapshot.notices) {
        *reason = reason.without_program();
    }
    for setting in &mut snapshot.settings {
        if NAMES_OF_PROGRAMS.contains(&setting.key.as_str()) {
            setting.value.clear();
        }
    }
    snapshot
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::{Command, Reason, ReasonCode, SettingSource, SettingView, WorkerView};

    const USER: Access = Access::User { uid: 1000 };
    const MACHINE: Access = Access::Machine { uid: 990, group: 980 };

    fn peer(uid: u32, groups: &[u32]) -> Peer {
        Peer::without_process(uid, groups.to_vec())
    }

    #[test]
    fn a_users_engine_answers_that_user_and_root_alone() {
        assert_eq!(USER.role(&peer(1000, &[1000])), Some(Role::Owner));
        assert_eq!(USER.role(&peer(0, &[0])), Some(Role::Owner));
        assert_eq!(USER.role(&peer(1001, &[1001, 1000, 980])), None, "by no group");
    }

    #[test]
    fn a_services_engine_shows_itself_to_all_and_obeys_its_group() {
        assert_eq!(MACHINE.role(&peer(0, &[0])), Some(Role::Owner));
        assert_eq!(MACHINE.role(&peer(990, &[980])), Some(Role::Owner));
        assert_eq!(MACHINE.role(&peer(1000, &[1000, 27, 980])), Some(Role::Operator));
        assert_eq!(MACHINE.role(&peer(1000, &[1000, 27])), Some(Role::Viewer));
        assert_eq!(MACHINE.role(&peer(980, &[1000])), Some(Role::Viewer), "a user's number is no group's");
    }

    #[test]
    fn who_is_refused_is_told_who_may() {
        assert!(who_may(&Request::Command(Command::Resume)).contains("the group surge"));
        assert!(who_may(&Request::Command(Command::Stop)).ends_with("only root may do that"));
    }

    #[test]
    fn a_viewer_sees_the_state_and_no_programs_of_others() {
        let named = |code| Reason::new(code).about("secret-program").said("secret-program");
        let codes = [
            ReasonCode::FullScreen,
            ReasonCode::Film,
            ReasonCode::Call,
            ReasonCode::Gamepad,
            ReasonCode::ExcludedProgram,
        ];
        let setting = |key: &str, value: &str| SettingView {
            key: key.into(),
            value: value.into(),
            source: SettingSource::File,
            locked: false,
        };
        let worker = WorkerView {
            pid: 1,
            lease: surge_protocol::Digest([0; 32]),
            job_name: "a job".into(),
            index: 0,
            share: 1.0,
            cpu_ms: 0,
        };
        let whole = Snapshot {
            reasons: codes.map(named).to_vec(),
            notices: vec![named(ReasonCode::Film), Reason::new(ReasonCode::SettingsInvalid).about("workers")],
            settings: vec![
                setting("excluded_programs", "[\"secret-program\"]"),
                setting("ignored_programs", "[\"secret-program\"]"),
                setting("workers", "2"),
            ],
            workers: vec![worker],
            ..Snapshot::default()
        };
        for role in [Role::Owner, Role::Operator] {
            assert_eq!(redacted(whole.clone(), role), whole);
        }
        for role in [Role::Viewer, Role::Unknown] {
            let seen = redacted(whole.clone(), role);
            assert!(!serde_json::to_string(&seen).unwrap().contains("secret-program"), "{seen:?}");
            assert_eq!(seen.reasons.iter().map(|it| it.code).collect::<Vec<_>>(), codes);
            assert_eq!(seen.notices[1].subject.as_deref(), Some("workers"));
            assert_eq!((seen.settings[2].value.as_str(), seen.workers[0].job_name.as_str()), ("2", "a job"));
        }
    }
}
