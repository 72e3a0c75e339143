//! From the true digest to a receipt: who is paid, who is not.
//!
//! Deliberately absent: how the truth was found (see `verify` and `replay`).

use surge_protocol::api::{JobId, SignedResult, TaskId};
use surge_protocol::epoch::{ConfirmedBy, Receipt, Share};
use surge_protocol::split::split;
use surge_protocol::{Address, Amount, Digest};

/// What a receipt says of its task.
#[derive(Debug, Clone)]
pub struct Facts {
    pub task: TaskId,
    pub job: JobId,
    pub index: u64,
    pub requester: Address,
    pub module: Digest,
    pub input: Digest,
    pub price: Amount,
    pub quorum: u8,
}

/// A vote with everything that a receipt shows of it.
#[derive(Debug, Clone)]
pub struct Given {
    pub node: Address,
    pub payout: Address,
    pub signed: SignedResult,
}

/// What becomes of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Accepted,
    Rejected,
    /// True, but beyond the executions that the order pays for: a late result that came after its replacement.
    Surplus,
}

/// The standing of each of `results`, which are in order of arrival.
#[must_use]
pub fn standings(results: &[Given], truth: Digest, quorum: u8) -> Vec<Standing> {
    let mut left = quorum.max(1);
    let mut judge = |given: &Given| {
        if given.signed.result.digest != truth {
            return Standing::Rejected;
        }
        let Some(fewer) = left.checked_sub(1) else { return Standing::Surplus };
        left = fewer;
        Standing::Accepted
    };
    results.iter().map(&mut judge).collect()
}

/// Rejected results that a receipt shows, in order of arrival. A task whose truth is known may collect many before somebody
/// has it, and receipts are kept and published for good.
pub const MOST_REJECTED: usize = 8;

/// The receipt over `results`. Surplus results are not part of it, nor are rejected ones beyond [`MOST_REJECTED`].
#[must_use]
pub fn receipt(facts: &Facts, results: &[Given], truth: Digest, by: ConfirmedBy, fee_bps: u16) -> Receipt {
    let due = split(facts.price, fee_bps);
    let share = |given: &Given, accepted| Share {
        node: given.node,
        payout: given.payout,
        result: given.signed.result.clone(),
        signature: given.signed.signature,
        accepted,
        fee: if accepted { due.fee } else { Amount::ZERO },
        net: if accepted { due.net } else { Amount::ZERO },
    };
    let judged = results.iter().zip(standings(results, truth, facts.quorum));
    let mut rejected = 0;
    let shares = judged.filter_map(|(given, standing)| match standing {
        Standing::Accepted => Some(share(given, true)),
        Standing::Rejected => {
            rejected += 1;
            (rejected <= MOST_REJECTED).then(|| share(given, false))
        }
        Standing::Surplus => None,
    });
    Receipt {
        task: facts.task,
        job: facts.job,
        index: facts.index,
        requester: facts.requester,
        module: facts.module,
        input: facts.input,
        digest: truth,
        confirmed_by: by,
        price: facts.price,
        shares: shares.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use surge_protocol::epoch::ResultBody;
    use surge_protocol::sign::Signed;
    use surge_protocol::{Code, Outcome};

    fn given(n: u8, digest: u8) -> Given {
        let result = ResultBody {
            lease: Digest([n; 32]),
            task: Digest([0; 32]),
            outcome: Outcome::Done,
            code: Code::Status(0),
            digest: Digest([digest; 32]),
            output: Digest([0; 32]),
            runtime_class: "test".into(),
            fuel: 0,
            cpu_ms: 1,
            resumed: false,
        };
        let account = Address::repeat_byte(n);
        Given { node: account, payout: account, signed: SignedResult { result, signature: Signed([0; 65]) } }
    }

    proptest! {
        #[test]
        fn a_receipt_never_costs_more_than_the_order_reserved(
            digests in prop::collection::vec(0u8..3, 0..20),
            quorum in 1u8..=5,
            price in any::<u64>(),
            fee_bps in 0u16..=10_000,
        ) {
            let results: Vec<_> = digests.iter().enumerate().map(|(n, digest)| given(n as u8, *digest)).collect();
            let price = Amount(price.into());
            let zero = Digest([0; 32]);
            let facts = Facts {
                task: zero, job: zero, index: 0, requester: Address::ZERO, module: zero, input: zero, price, quorum,
            };
            let receipt = receipt(&facts, &results, Digest([1; 32]), ConfirmedBy::Replay, fee_bps);
            prop_assert!(receipt.debit().unwrap() <= price.checked_mul(quorum.into()).unwrap());
            for share in &receipt.shares {
                prop_assert_eq!(share.accepted, share.result.digest == receipt.digest);
                let paid = share.fee.checked_add(share.net).unwrap();
                prop_assert_eq!(paid, if share.accepted { price } else { Amount::ZERO });
            }
            let wrong = digests.iter().filter(|digest| **digest != 1).count();
            let shown = receipt.shares.iter().filter(|share| !share.accepted).count();
            prop_assert_eq!(shown, wrong.min(MOST_REJECTED));
        }
    }
}
