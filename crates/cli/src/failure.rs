//! How a failure is told: one line that says what happened, why, and what to do, with a stable code for programs.

use std::borrow::Cow;
use std::error::Error;

use serde_json::{Value, json};
use surge_client::ClientError;
use surge_contributor::files::FileError;
use surge_contributor::http::HttpError;
use surge_contributor::settings::{ChangeError, SettingsError};
use surge_contributor::{ConfigError, SetupError, StartError};
use surge_platform::home::HomeError;
use surge_wallet::{AddressError, MoneyError, VaultError, WordsError};

use crate::engine::Unready;
use crate::exit_status::ExitStatus;

/// A failure of this program's own, which needs no type to be told from others.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    code: Cow<'static, str>,
    /// What happened, why, and what to do.
    message: String,
    /// Where it is another than the code has elsewhere.
    status: Option<ExitStatus>,
}

impl Failure {
    pub(crate) fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), status: None }
    }

    pub(crate) fn with_status(self, status: ExitStatus) -> Self {
        Self { status: Some(status), ..self }
    }
}

/// The failure for programs.
pub(crate) fn document(error: &anyhow::Error) -> Value {
    let mut told = json!({ "code": code(error), "message": message(error) });
    if let Some(SettingsError::Invalid { problems, .. }) = error.chain().find_map(settings) {
        told["problems"] = json!(problems);
    }
    json!({ "error": told })
}

/// What the program leaves with.
pub(crate) fn status(error: &anyhow::Error) -> ExitStatus {
    let own = error.chain().find_map(|cause| cause.downcast_ref::<Failure>()?.status);
    own.unwrap_or_else(|| ExitStatus::of(&code(error)))
}

/// The failure for people and logs, on one line.
pub(crate) fn told(error: &anyhow::Error) -> String {
    format!("{} [{}]", message(error), code(error))
}

/// The chain of causes as one line, without repeating what a cause already says.
fn message(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(|cause| one_line(&cause.to_string())) {
        if text.contains(&cause) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause);
    }
    text
}

/// Some errors of others have several lines.
pub(crate) fn one_line(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join(" ")
}

fn code(error: &anyhow::Error) -> String {
    error.chain().find_map(code_of).unwrap_or_else(|| "failed".to_owned())
}

/// The code of an error that has one.
fn code_of(cause: &(dyn Error + 'static)) -> Option<String> {
    fn of<E: Error + 'static>(cause: &(dyn Error + 'static), code: fn(&E) -> &'static str) -> Option<String> {
        cause.downcast_ref().map(|error| code(error).to_owned())
    }
    let own = cause.downcast_ref::<Failure>().map(|failure| failure.code.clone().into_owned());
    own.or_else(|| of(cause, ConfigError::code))
        .or_else(|| of(cause, StartError::code))
        .or_else(|| of(cause, HomeError::code))
        .or_else(|| of(cause, ChangeError::code))
        .or_else(|| of(cause, SettingsError::code))
        .or_else(|| of(cause, FileError::code))
        .or_else(|| of(cause, HttpError::code))
        .or_else(|| cause.downcast_ref::<ClientError>().map(|error| error.code().to_owned()))
        .or_else(|| of(cause, |unready: &Unready| unready.0.code()))
        .or_else(|| of(cause, VaultError::code))
        .or_else(|| of(cause, WordsError::code))
        .or_else(|| of(cause, AddressError::code))
        .or_else(|| of(cause, MoneyError::code))
}

fn settings<'a>(cause: &'a (dyn Error + 'static)) -> Option<&'a SettingsError> {
    let unready = || match &*cause.downcast_ref::<Unready>()?.0 {
        SetupError::Settings(error) => Some(error),
        _ => None,
    };
    let change = || match cause.downcast_ref()? {
        ChangeError::Settings(error) => Some(error),
        _ => None,
    };
    cause.downcast_ref().or_else(unready).or_else(change)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_of_causes_is_one_line_that_says_each_thing_once() {
        let error = anyhow::Error::new(Failure::new("inner", "no space\n  left\n"))
            .context("the file can't be written: no space left")
            .context("nothing was saved");
        assert_eq!(told(&error), "nothing was saved: the file can't be written: no space left [inner]");
    }
}
