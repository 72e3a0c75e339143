//! The contracts' interfaces and bytecode, from the checked-in artifacts that `cargo xtask contracts` builds.

alloy::sol! {
    #[derive(Debug)]
    RewardToken,
    "../../contracts/artifacts/RewardToken.json"
}

alloy::sol! {
    #[derive(Debug)]
    Settlement,
    "../../contracts/artifacts/Settlement.json"
}

use alloy::sol_types::{GenericRevertReason, SolInterface};

/// What a contract says when it refuses: its custom error with its arguments, or its text.
pub(crate) fn revert_reason(data: &[u8]) -> Option<String> {
    if let Ok(error) = Settlement::SettlementErrors::abi_decode(data) {
        return Some(inner(&format!("{error:?}")));
    }
    if let Ok(error) = RewardToken::RewardTokenErrors::abi_decode(data) {
        return Some(inner(&format!("{error:?}")));
    }
    GenericRevertReason::decode(data).map(|reason| reason.to_string())
}

/// `Name(Name { … })` is `Name { … }`.
fn inner(debug: &str) -> String {
    let body = debug.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    body.unwrap_or(debug).to_owned()
}
