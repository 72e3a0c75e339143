//! The local protocol: what goes over the engine's socket, one JSON document a line.
//!
//! 1. The engine greets with a [`Hello`].
//! 2. The shell sends one [`Request`].
//! 3. The engine answers with one [`Reply`], or, to [`Request::Watch`], with one for each change until either side goes.
//!
//! A session's reporter sends [`Request::Session`] instead, is answered with [`Reply::Reporting`] or refused, and from then
//! on sends a [`SessionReport`] a line: at once at input, and each second while there is none.
//!
//! Both sides skip fields that they don't know, and read words that they don't know as `unknown`. A request that the
//! engine does not know is answered with [`Refusal`] `unknown_request`, so that a newer shell can say so. The version
//! grows when an older side would misunderstand, not when something is added. No secret crosses the socket.

use serde::{Deserialize, Serialize};

use crate::view::{Command, Snapshot};

/// The version that this program speaks.
pub const VERSION: u32 = 1;
/// The longest request, bytes.
pub const MAX_REQUEST: u64 = 64 << 10;
/// The longest reply, bytes.
pub const MAX_REPLY: u64 = 4 << 20;

/// The engine's first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The protocol's version.
    pub surge: u32,
    /// The engine's version.
    pub version: String,
    #[serde(default)]
    pub pid: u32,
    /// What the peer may do, by its user.
    pub role: Role,
}

/// What a peer may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// See the state, without other people's programs.
    Viewer,
    /// Also pause and resume.
    Operator,
    /// Everything.
    Owner,
    /// A role of a newer engine.
    #[serde(other)]
    Unknown,
}

impl Role {
    /// Whether it may ask this. A role of a newer engine may nothing, as far as this program knows.
    #[must_use]
    pub fn may(self, request: &Request) -> bool {
        let needed = match request {
            Request::Snapshot | Request::Watch | Request::Session => Self::Viewer,
            Request::Command(
                Command::Pause { .. } | Command::PauseUntil { .. } | Command::Finish | Command::Resume,
            ) => Self::Operator,
            Request::Command(Command::Reload | Command::Stop) => Self::Owner,
        };
        self != Self::Unknown && self >= needed
    }
}

/// What may be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// The state now.
    Snapshot,
    /// Do something; the answer is the state after it.
    Command(Command),
    /// The state now, and again whenever it changes.
    Watch,
    /// Report the presence of the login session that the peer belongs to, as the kernel and the login service tell.
    Session,
}

/// What a session's reporter tells. No names: what runs in a session is its user's business.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SessionReport {
    /// Milliseconds since the last input; `null` where the display can't tell, which counts as use.
    pub idle_ms: Option<u64>,
    /// The screen is locked.
    pub locked: bool,
    /// A window fills the screen.
    pub full_screen: bool,
    /// A program keeps the screen awake.
    pub film: bool,
    /// A program uses the microphone.
    pub call: bool,
    /// A game controller was moved.
    pub gamepad: bool,
}

/// The engine's answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    Snapshot(Box<Snapshot>),
    Refused(Refusal),
    /// To a session's reporter: it is heard, and speaks for this session of the login service's.
    Reporting {
        session: String,
    },
    /// To those who watch: the engine stops in order, and this is its last line.
    Stopping,
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Stable: `unknown_request`, `not_allowed`, `stopping`, `busy`; to a session's reporter `no_session`,
    /// `anothers_session`, `session_reported`.
    pub code: String,
    /// What was wrong, for people.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_may_what_the_one_below_it_may_and_more() {
        let commands = [
            Command::Pause { seconds: None },
            Command::PauseUntil { unix: 1 },
            Command::Finish,
            Command::Resume,
            Command::Reload,
            Command::Stop,
        ];
        let requests =
            [Request::Snapshot, Request::Watch, Request::Session].into_iter().chain(commands.map(Request::Command));
        let may = |role: Role| requests.clone().filter(|request| role.may(request)).count();
        assert_eq!([Role::Viewer, Role::Operator, Role::Owner, Role::Unknown].map(may), [3, 7, 9, 0]);
        assert!(!Role::Operator.may(&Request::Command(Command::Stop)));
        assert!(!Role::Viewer.may(&Request::Command(Command::Resume)));
    }
}
