//! How a failure is told: what happened and why in one sentence, and a stable code for programs.

use std::process::ExitCode;

use serde_json::json;
use surge_contributor::control::ControlError;
use surge_contributor::settings::{ChangeError, SettingsError};
use surge_contributor::{ConfigError, StartError};
use surge_wallet::{AddressError, MoneyError, VaultError, WordsError};

use crate::coordinator::ApiFailure;
use crate::say::line;

/// Tells the failure on standard error; with `--json` also as a document on standard output.
pub(crate) fn report(error: &anyhow::Error, json: bool) -> ExitCode {
    let code = code(error);
    let message = message(error);
    eprintln!("surge: {message} [{code}]");
    if json {
        // Standard output may be closed: the failure was told already.
        let _ = line(&json!({ "error": { "code": code, "message": message } }).to_string());
    }
    ExitCode::FAILURE
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
            .or_else(|| cause.downcast_ref::<ChangeError>().map(ChangeError::code))
            .or_else(|| cause.downcast_ref::<SettingsError>().map(SettingsError::code))
            .or_else(|| cause.downcast_ref::<ControlError>().map(control))
            .or_else(|| cause.downcast_ref::<VaultError>().map(VaultError::code))
            .or_else(|| cause.downcast_ref::<WordsError>().map(WordsError::code))
            .or_else(|| cause.downcast_ref::<AddressError>().map(AddressError::code))
            .or_else(|| cause.downcast_ref::<MoneyError>().map(MoneyError::code))?;
        Some(word.to_owned())
    });
    let api = || error.chain().find_map(|cause| Some(cause.downcast_ref::<ApiFailure>()?.code.clone()));
    known.or_else(api).unwrap_or_else(|| "failed".to_owned())
}

fn control(error: &ControlError) -> &'static str {
    match error {
        ControlError::NotRunning { .. } => "not_running",
        ControlError::Io(_) | ControlError::Malformed(_) | ControlError::Refused(_) => "engine_trouble",
    }
}
