//! Reads what callers send: bodies within their limits and their time, path parts, bearer tokens. Foreign bytes never
//! do more harm than an error.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::header;
use axum::http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use surge_protocol::Address;

use crate::coordinator::Coordinator;
use crate::error::{Code, Error, Result};

/// A JSON body of at most `MAX` bytes.
pub(super) struct Body<T, const MAX: usize>(pub(super) T);

impl<T: DeserializeOwned, const MAX: usize> FromRequest<Arc<Coordinator>> for Body<T, MAX> {
    type Rejection = Error;

    async fn from_request(request: Request, coordinator: &Arc<Coordinator>) -> Result<Self> {
        let patience = Duration::from_millis(coordinator.rules.body_wait);
        let read = Limited::new(request.into_body(), MAX).collect();
        let slow = || Error::new(Code::TooSlow, "the body did not arrive in time: send it again");
        let read = tokio::time::timeout(patience, read).await.map_err(|_| slow())?;
        let bytes = read.map_err(|error| broken(&*error, MAX))?.to_bytes();
        let wrong = |error| Error::new(Code::BadRequest, format!("the body is not what this route takes: {error}"));
        serde_json::from_slice(&bytes).map(Self).map_err(wrong)
    }
}

fn broken(error: &(dyn std::error::Error + 'static), limit: usize) -> Error {
    if error.is::<LengthLimitError>() {
        return Error::new(Code::TooLarge, format!("the body has more than {limit} bytes"));
    }
    Error::new(Code::BadRequest, "the body broke off: send it again")
}

/// The one variable part of the path.
pub(super) struct Path<T>(pub(super) T);

impl<T: std::str::FromStr<Err: std::fmt::Display>> FromRequestParts<Arc<Coordinator>> for Path<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, coordinator: &Arc<Coordinator>) -> Result<Self> {
        let wrong =
            |why: &dyn std::fmt::Display| Error::new(Code::BadRequest, format!("the address of the request: {why}"));
        let params = RawPathParams::from_request_parts(parts, coordinator).await.map_err(|error| wrong(&error))?;
        let part = params.iter().next().map_or("", |(_, part)| part);
        part.parse().map(Self).map_err(|error| wrong(&error))
    }
}

/// Whose session the request carries.
pub(super) struct Caller(pub(super) Address);

impl FromRequestParts<Arc<Coordinator>> for Caller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, coordinator: &Arc<Coordinator>) -> Result<Self> {
        let unknown = || Error::new(Code::SessionUnknown, "no session, or one that is over: open one at /v1/sessions");
        let value = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = value.and_then(|value| value.strip_prefix("Bearer ")).ok_or_else(unknown)?;
        coordinator.sessions.who(token, coordinator.now()).map(Self).ok_or_else(unknown)
    }
}
