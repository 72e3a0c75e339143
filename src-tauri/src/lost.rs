//! Why the engine tells nothing now, as a code with what was said. The words for it are in `ui/src/messages`.

use std::io::ErrorKind;

use serde::Serialize;
use surge_client::ClientError;
use ts_rs::TS;

/// Why there is no news of the engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
pub(crate) struct Lost {
    pub(crate) code: LostCode,
    /// What the system or the engine said, word for word.
    pub(crate) said: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, TS)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LostCode {
    /// It is looked for.
    Connecting,
    /// It is being started.
    Starting,
    /// It crashed, and is being started again.
    Restarting,
    /// It is ending, because its owner quit.
    Stopping,
    /// No engine runs.
    NotRunning,
    /// It ended in order, as somebody asked it to.
    Stopped,
    /// It ended without a word, and is not started again by itself.
    Crashed,
    /// It was started, and ended at once; `said` is what it said.
    CantStart,
    /// The program `surge` is missing.
    NoProgram,
    /// It runs and does not answer.
    Stuck,
    /// What answers may not be trusted.
    Untrusted,
    /// It does not let this user see its state.
    Refused,
    /// It answers something that this program does not understand.
    Incomprehensible,
    /// This user has no folder to keep anything in.
    NoHome,
}

impl LostCode {
    #[cfg(test)]
    pub(crate) const ALL: [Self; 14] = [
        Self::Connecting,
        Self::Starting,
        Self::Restarting,
        Self::Stopping,
        Self::NotRunning,
        Self::Stopped,
        Self::Crashed,
        Self::CantStart,
        Self::NoProgram,
        Self::Stuck,
        Self::Untrusted,
        Self::Refused,
        Self::Incomprehensible,
        Self::NoHome,
    ];

    /// Its name in the messages.
    pub(crate) fn name(self) -> String {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::String(name)) => name,
            _ => unreachable!("a code without fields is written as a string"),
        }
    }

    /// Whether starting an engine may help.
    pub(crate) fn can_start(self) -> bool {
        matches!(self, Self::NotRunning | Self::Stopped | Self::Crashed | Self::CantStart | Self::NoProgram)
    }

    /// Whether an engine is being started.
    pub(crate) fn begins(self) -> bool {
        matches!(self, Self::Starting | Self::Restarting)
    }

    /// Whether it passes by itself within moments.
    pub(crate) fn passes(self) -> bool {
        matches!(self, Self::Connecting | Self::Starting | Self::Restarting | Self::Stopping)
    }
}

impl From<LostCode> for Lost {
    fn from(code: LostCode) -> Self {
        Self { code, said: None }
    }
}

impl Lost {
    pub(crate) fn said(code: LostCode, words: impl Into<String>) -> Self {
        Self { code, said: Some(words.into()) }
    }

    /// What follows from an error of a connection.
    pub(crate) fn of(error: &ClientError) -> Self {
        match error {
            ClientError::NotRunning { .. } => LostCode::NotRunning.into(),
            ClientError::Stopped => LostCode::Stopped.into(),
            ClientError::Gone => LostCode::Crashed.into(),
            ClientError::Untrusted { socket, problem } => {
                Self::said(LostCode::Untrusted, format!("{}: {problem}", socket.display()))
            }
            ClientError::Io(error) => match error.kind() {
                ErrorKind::TimedOut => LostCode::Stuck.into(),
                ErrorKind::PermissionDenied => Self::said(LostCode::Refused, error.to_string()),
                // There can be no socket at such a path. An engine that is started there says so.
                ErrorKind::NotADirectory | ErrorKind::InvalidInput => LostCode::NotRunning.into(),
                _ => Self::said(LostCode::Stuck, error.to_string()),
            },
            ClientError::Refused(refusal) => Self::said(LostCode::Refused, &refusal.message),
            ClientError::Malformed(what) => Self::said(LostCode::Incomprehensible, what),
        }
    }
}
