//! A module, as a requester sends it.

use std::borrow::Cow;
use std::sync::LazyLock;

use surge_protocol::Outcome;
use surge_protocol::frame::ReportCode;
use surge_protocol::task::Limits;
use wasmtime::{Engine, Module};

use crate::engine::engine;
use crate::meter;

static ENGINE: LazyLock<Engine> = LazyLock::new(|| engine().expect("an engine"));

/// Whether the check lets `module` through to the compiler. A refusal names its rule.
#[must_use]
pub fn check(module: &[u8]) -> bool {
    let Err(refused) = crate::check::check(module, &Limits::default()) else { return true };
    assert!(!refused.detail.is_empty(), "a refusal without a reason");
    match (refused.outcome, &refused.code) {
        (Outcome::Invalid, ReportCode::Word(_)) => {}
        (Outcome::Limit, ReportCode::Word(word)) => assert_eq!(word, "memory"),
        other => panic!("the check refuses with {other:?}"),
    }
    false
}

/// Compiles what the check let through: as it is, or with its meter, as its length chooses.
pub fn compile(module: &[u8]) {
    let code = if module.len().is_multiple_of(2) {
        Cow::Borrowed(module)
    } else {
        Cow::Owned(meter::metered(module).expect("the meter refuses what the check let through"))
    };
    let compiled = Module::new(&ENGINE, &code);
    let ready = compiled.unwrap_or_else(|error| panic!("checked, and yet refused by the compiler: {error:#}"));
    assert!(ready.get_export("_start").is_some() && ready.get_export("memory").is_some(), "it is no command");
}
