//! What is missing between the newest epoch in the store and the chain? A pure decision.

use surge_protocol::B256;

use super::SettleError;
use crate::chain::ChainEpoch;
use crate::clock::{Millis, is_past};
use crate::store::{EpochRow, EpochState};

/// The newest epoch that was built here.
#[derive(Debug)]
pub(super) struct Local<'a> {
    pub(super) row: &'a EpochRow,
    pub(super) data_hash: B256,
}

/// The one thing to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Wait,
    Build,
    Propose,
    /// It is on chain: an earlier run got so far.
    NoteProposed,
    Finalize,
    NoteFinalized,
}

/// `due`: it is time for another epoch. `on_chain` is what the chain holds under the newest epoch's number.
pub(super) fn next(
    local: Option<&Local<'_>>,
    on_chain: Option<ChainEpoch>,
    due: bool,
    now: Millis,
) -> Result<Step, SettleError> {
    let build = if due { Step::Build } else { Step::Wait };
    let Some(Local { row, data_hash }) = local else { return Ok(build) };
    if row.state == EpochState::Finalized {
        return Ok(build);
    }
    let Some(chain) = on_chain else {
        return if row.state == EpochState::Built { Ok(Step::Propose) } else { Err(SettleError::Gone(row.epoch)) };
    };
    if chain.data_hash != *data_hash {
        return Err(SettleError::Conflict(row.epoch));
    }
    if chain.finalized {
        return Ok(Step::NoteFinalized);
    }
    if row.state == EpochState::Built {
        return Ok(Step::NoteProposed);
    }
    Ok(if is_past(chain.finalizable_at, now) { Step::Finalize } else { Step::Wait })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(state: EpochState, chain: Option<ChainEpoch>) -> Result<Step, SettleError> {
        let row = EpochRow { epoch: 3, state, built_at: 0, propose_tx: None, finalize_tx: None };
        next(Some(&Local { row: &row, data_hash: B256::repeat_byte(1) }), chain, true, 10_000)
    }

    fn chain(hash: u8, finalized: bool, finalizable_at: u64) -> Option<ChainEpoch> {
        Some(ChainEpoch { data_hash: B256::repeat_byte(hash), finalized, finalizable_at })
    }

    #[test]
    fn each_difference_between_store_and_chain_has_one_remedy() {
        use EpochState::{Built, Finalized, Proposed};
        assert_eq!(decide(Built, None), Ok(Step::Propose));
        assert_eq!(decide(Built, chain(1, false, 0)), Ok(Step::NoteProposed));
        assert_eq!(decide(Built, chain(1, true, 0)), Ok(Step::NoteFinalized));
        assert_eq!(decide(Proposed, chain(1, false, 11)), Ok(Step::Wait));
        assert_eq!(decide(Proposed, chain(1, false, 10)), Ok(Step::Finalize));
        assert_eq!(decide(Proposed, chain(1, true, 0)), Ok(Step::NoteFinalized));
        assert_eq!(decide(Finalized, None), Ok(Step::Build));
    }

    #[test]
    fn what_people_must_look_at_is_never_overwritten() {
        assert_eq!(decide(EpochState::Proposed, None), Err(SettleError::Gone(3)));
        assert_eq!(decide(EpochState::Built, chain(2, false, 0)), Err(SettleError::Conflict(3)));
    }
}
