//! How a failure is told: what happened and why in one sentence, and a stable code for programs.

use std::io::Write;
use std::process::ExitCode;

use serde_json::json;
use surge_client::ClientError;
use surge_contributor::http::HttpError;
use surge_contributor::settings::{ChangeError, SettingsError};
use surge_contributor::{ConfigError, StartError};
use surge_wallet::{AddressError, MoneyError, VaultError, WordsError};

use crate::coordinator::ApiFailure;
use crate::engine::Unready;
use crate::report::NothingWritten;
use crate::say::{line, plain};
use crate::status::Status;

/// Tells the failure on standard error; with `--json` also as a document on standard output.
pub(crate) fn report(error: &anyhow::Error, json: bool) -> ExitCode {
    let code = code(error);
    let message = message(error);
    // Standard error may be closed, and a failure to tell is no reason to crash.
    let _ = writeln!(std::io::stderr(), "surge: {} [{code}]", plain(&message));
    if json {
        // Standard output may be closed: the failure was told already.
        let _ = line(&json!({ "error": { "code": code, "message": message } }).to_string());
    }
    Status::of(&code).into()
}

/// The failure as a line of a log.
pub(crate) fn told(error: &anyhow::Error) -> String {
    format!("{} [{}]", message(error), code(error))
}

/// The chain of causes as one sentence, without repeating what a cause already says.
fn message(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.ends_with(&cause) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause);
    }
    text
}

fn code(error: &anyhow::Error) -> String {
    let known = error.chain().find_map(|cause| {
        let word = cause
            .downcast_ref::<ConfigError>()
            .map(ConfigError::code)
            .or_else(|| cause.downcast_ref::<StartError>().map(StartError::code))
            .or_else(|| cause.downcast_ref::<Unready>().map(|unready| unready.0.code()))
            .or_else(|| cause.downcast_ref::<ChangeError>().map(ChangeError::code))
            .or_else(|| cause.downcast_ref::<SettingsError>().map(SettingsError::code))
            .or_else(|| cause.downcast_ref::<HttpError>().map(HttpError::code))
            .or_else(|| cause.downcast_ref::<ClientError>().map(ClientError::code))
            .or_else(|| cause.downcast_ref::<VaultError>().map(VaultError::code))
            .or_else(|| cause.downcast_ref::<WordsError>().map(WordsError::code))
            .or_else(|| cause.downcast_ref::<AddressError>().map(AddressError::code))
            .or_else(|| cause.downcast_ref::<MoneyError>().map(MoneyError::code))?;
        Some(word.to_owned())
    });
    let nothing = || error.chain().any(|cause| cause.is::<NothingWritten>()).then(|| "nothing_written".to_owned());
    let api = || error.chain().find_map(|cause| Some(cause.downcast_ref::<ApiFailure>()?.code.clone()));
    known.or_else(api).or_else(nothing).unwrap_or_else(|| "failed".to_owned())
}
