//! All that the window shows at one moment, as it crosses to the webview.

use std::cmp::Ordering;

use serde::Serialize;
use surge_client::ClientError;
use surge_client::view::Snapshot;
use surge_client::wire::Hello;
use surge_client::words;
use ts_rs::TS;

use crate::lost::Lost;

#[derive(Debug, Clone, PartialEq, Serialize, TS)]
pub(crate) struct View {
    /// The engine's last state; `null` before the first. While `lost`, it is of earlier.
    pub(crate) snapshot: Option<Snapshot>,
    /// Why there is no news of the engine; `null` while there is.
    pub(crate) lost: Option<Lost>,
    /// How the engine's version differs from this program's; `null` where it does not.
    pub(crate) skew: Option<Skew>,
    /// Why the last command was not obeyed; `null` where it was.
    pub(crate) failure: Option<Failure>,
    /// Whether the engine lets this user pause it.
    pub(crate) may_pause: bool,
    /// Whether *Quit* also ends the engine.
    pub(crate) quit_stops_work: bool,
    /// The window was asked to close where no tray would be left to open it again.
    pub(crate) leaving_without_tray: bool,
}

/// Two versions that differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
pub(crate) struct Skew {
    pub(crate) code: SkewCode,
    /// The engine's version, and this program's.
    pub(crate) engine: String,
    pub(crate) own: String,
}

impl Skew {
    /// `None` where the engine is of the version of this program, `own`.
    pub(crate) fn of(hello: &Hello, own: &str) -> Option<Self> {
        let code = match words::age(hello, own) {
            Ordering::Greater => SkewCode::EngineNewer,
            Ordering::Less => SkewCode::EngineOlder,
            Ordering::Equal => return None,
        };
        Some(Self { code, engine: hello.version.clone(), own: own.to_owned() })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SkewCode {
    EngineNewer,
    EngineOlder,
}

/// A command that the engine did not obey.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
pub(crate) struct Failure {
    /// The engine's or the connection's code: `not_allowed`, `stopping`, `not_running`, ….
    pub(crate) code: String,
    /// What the engine or the system said, word for word.
    pub(crate) said: String,
}

impl Failure {
    pub(crate) fn of(error: &ClientError) -> Self {
        let said = match error {
            ClientError::Refused(refusal) => refusal.message.clone(),
            other => other.to_string(),
        };
        Self { code: error.code().to_owned(), said }
    }
}
