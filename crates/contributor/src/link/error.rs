//! What went wrong on the line, told apart by what can be done about it.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::HeaderValue;
use surge_protocol::api::ApiError;
use thiserror::Error;

use crate::blobs::BlobError;
use crate::http::Silence;

#[derive(Debug, Error)]
pub enum LinkError {
    /// Nobody could be asked: try again later.
    #[error("{} ({})", .0.message, .0.code)]
    Unreachable(Silence),
    /// It was asked, and no answer came that could be read: it may have done what it was asked to do. Try again later.
    #[error("{} ({})", .0.message, .0.code)]
    Unanswered(Silence),
    /// It answered that it can't now: try again later.
    #[error("the coordinator is in trouble: {message} ({code})")]
    Trouble { code: String, message: String, retry_after: Option<Duration> },
    /// It answered no: trying again does not help.
    #[error("the coordinator refused: {message} ({code})")]
    Refused { status: u16, code: String, message: String },
    #[error("a blob could not be kept")]
    Blob(#[from] BlobError),
}

impl LinkError {
    /// Whether the same call may work later.
    #[must_use]
    pub fn passing(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Unanswered(_) | Self::Trouble { .. })
    }

    /// Whether the coordinator may have done what it was asked to do. Behind a proxy's word of trouble, too.
    #[must_use]
    pub fn may_be_done(&self) -> bool {
        matches!(self, Self::Unanswered(_) | Self::Trouble { .. })
    }

    /// Whether this is the last word on what was sent, rather than on who sent it.
    #[must_use]
    pub fn final_for_content(&self) -> bool {
        match self {
            // A result that another key signed, or of another node's lease, never becomes this one's.
            Self::Refused { status, code, .. } => {
                !matches!(status, 401 | 403) || matches!(code.as_str(), "wrong_signature" | "not_yours")
            }
            _ => false,
        }
    }

    /// Whether the coordinator says that this node does not hold the lease any more.
    #[must_use]
    pub fn lease_is_over(&self) -> bool {
        ["unknown_lease", "not_yours"].iter().any(|word| self.has_code(word))
    }

    /// When the other side wants to be asked again.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Trouble { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    pub(super) fn has_code(&self, word: &str) -> bool {
        matches!(self, Self::Refused { code, .. } if code == word)
    }
}

/// A delay in seconds; the form with a date is not used here.
pub(super) fn seconds(header: Option<&HeaderValue>) -> Option<Duration> {
    header?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// An answer that is a no, or a not now. `words` are the coordinator's; without them it was somebody else who answered,
/// whatever the status: a proxy, a portal, a server that is being set up.
pub(super) fn answer_of(status: StatusCode, words: Option<ApiError>, retry_after: Option<Duration>) -> LinkError {
    let Some(ApiError { code, message }) = words else {
        let code = format!("http_{}", status.as_u16());
        let message = status.canonical_reason().unwrap_or("an error without a body").to_owned();
        return LinkError::Trouble { code, message, retry_after };
    };
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::REQUEST_TIMEOUT {
        return LinkError::Trouble { code, message, retry_after };
    }
    LinkError::Refused { status: status.as_u16(), code, message }
}
