//! The one error of the coordinator: a stable code and a sentence, turned into an HTTP answer at the last step.
//!
//! Deliberately absent: causes that only an operator can use. They are logged where they happen; the caller reads
//! what happened, why, and what to do.

use std::fmt;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use surge_protocol::api::ApiError;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $word:literal, $status:ident;)*) => {
        /// Every code that an [`ApiError`] may carry. `docs/api-errors.md` explains each to callers.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $variant),* }

        impl Code {
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The stable word.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }

            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status),* }
            }
        }
    };
}

codes! {
    /// The request could not be read: path, header or body.
    BadRequest = "bad_request", BAD_REQUEST;
    NoSuchRoute = "no_such_route", NOT_FOUND;
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED;
    TooLarge = "too_large", PAYLOAD_TOO_LARGE;
    TooSlow = "too_slow", REQUEST_TIMEOUT;
    SessionUnknown = "session_unknown", UNAUTHORIZED;
    StaleSignature = "stale_signature", UNAUTHORIZED;
    WrongSignature = "wrong_signature", FORBIDDEN;
    NotYours = "not_yours", FORBIDDEN;
    NotRegistered = "not_registered", FORBIDDEN;
    StaleBinding = "stale_binding", CONFLICT;
    UnknownBlob = "unknown_blob", NOT_FOUND;
    WrongDigest = "wrong_digest", UNPROCESSABLE_ENTITY;
    BadRange = "bad_range", RANGE_NOT_SATISFIABLE;
    MissingBlob = "missing_blob", CONFLICT;
    WrongSize = "wrong_size", UNPROCESSABLE_ENTITY;
    NotAModule = "not_a_module", UNPROCESSABLE_ENTITY;
    BadOrder = "bad_order", UNPROCESSABLE_ENTITY;
    RequesterLeaving = "requester_leaving", CONFLICT;
    InsufficientEscrow = "insufficient_escrow", PAYMENT_REQUIRED;
    UnknownJob = "unknown_job", NOT_FOUND;
    UnknownLease = "unknown_lease", NOT_FOUND;
    UnknownEpoch = "unknown_epoch", NOT_FOUND;
    WrongRuntimeClass = "wrong_runtime_class", CONFLICT;
    BadResult = "bad_result", UNPROCESSABLE_ENTITY;
    ResultConflict = "result_conflict", CONFLICT;
    TaskDecided = "task_decided", CONFLICT;
    DeadlinePassed = "deadline_passed", CONFLICT;
    ChainUnavailable = "chain_unavailable", SERVICE_UNAVAILABLE;
    DiskFull = "disk_full", INSUFFICIENT_STORAGE;
    StorageFailed = "storage_failed", SERVICE_UNAVAILABLE;
}

/// What went wrong, for the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    pub code: Code,
    pub message: String,
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// Whether the store failed, rather than refused.
    #[must_use]
    pub fn is_storage(&self) -> bool {
        matches!(self.code, Code::DiskFull | Code::StorageFailed)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let body = ApiError { code: self.code.word().into(), message: self.message };
        (self.code.status(), Json(body)).into_response()
    }
}

/// Whether `error` or one of its causes is a disk without space.
#[must_use]
pub fn is_disk_full(error: &(dyn std::error::Error + 'static)) -> bool {
    let full = |error: &(dyn std::error::Error + 'static)| {
        error
            .downcast_ref::<std::io::Error>()
            .is_some_and(|io| matches!(io.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded))
    };
    std::iter::successors(Some(error), |error| error.source()).any(full)
}

/// The answer when the disk is full.
#[must_use]
pub fn disk_full() -> Error {
    Error::new(
        Code::DiskFull,
        "the coordinator's disk is full, so nothing was stored: try again later, or tell its operator",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_explains_every_code_with_its_status() {
        let document = include_str!("../../../docs/api-errors.md");
        for code in Code::ALL {
            let row = format!("| `{}` | {} |", code.word(), code.status().as_u16());
            assert!(document.contains(&row), "docs/api-errors.md lacks a row that starts with {row}");
        }
        let rows = document.lines().filter(|line| line.starts_with("| `")).count();
        assert_eq!(rows, Code::ALL.len(), "docs/api-errors.md explains a code that does not exist");
    }

    #[test]
    fn a_full_disk_is_found_below_other_errors() {
        let io = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let wrapped = object_store::Error::Generic { store: "local", source: Box::new(io) };
        assert!(is_disk_full(&wrapped));
        assert!(!is_disk_full(&std::io::Error::from(std::io::ErrorKind::NotFound)));
    }
}
