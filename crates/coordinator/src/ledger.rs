//! The ledger's arithmetic: which accounts a deposit, an order, a verdict and a refund move money between.
//!
//! Double entry in integers: the amounts of a transaction sum to zero, so the ledger as a whole does. Deliberately
//! absent: storage (see `store::books`), and anything that edits or removes an entry.

use std::collections::BTreeMap;
use std::fmt;

use surge_protocol::api::JobId;
use surge_protocol::epoch::Receipt;
use surge_protocol::{Address, Amount};
use thiserror::Error;

/// Whose money it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Account {
    /// Where a requester's money came from: the escrow on chain. Its balance is minus what was deposited.
    Deposited(Address),
    /// A requester's money that no order holds.
    Available(Address),
    /// A requester's money that running jobs hold.
    Reserved(Address),
    /// All that was ever credited to a payout or to the treasury; the chain pays it out.
    Credit(Address),
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, of) = match self {
            Self::Deposited(of) => ("deposited", of),
            Self::Available(of) => ("available", of),
            Self::Reserved(of) => ("reserved", of),
            Self::Credit(of) => ("credit", of),
        };
        write!(f, "{name}:{of}")
    }
}

/// Why money moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Deposit,
    Reserve,
    Verdict,
    Refund,
}

impl Kind {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deposit => "deposit",
            Self::Reserve => "reserve",
            Self::Verdict => "verdict",
            Self::Refund => "refund",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LedgerError {
    #[error("the entries sum to {0}, not to zero")]
    Unbalanced(i128),
    #[error("an amount is beyond what the ledger can hold")]
    Overflow,
}

/// Entries that are booked together or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    kind: Kind,
    reference: Option<[u8; 32]>,
    /// Invariant: sums to zero, holds no zero.
    entries: BTreeMap<Account, i128>,
}

impl Transaction {
    /// A transaction that happens to `reference` at most once per kind; without a reference it may repeat.
    ///
    /// # Errors
    /// When the amounts do not sum to zero, or overflow.
    pub fn new(
        kind: Kind,
        reference: Option<[u8; 32]>,
        amounts: impl IntoIterator<Item = (Account, i128)>,
    ) -> Result<Self, LedgerError> {
        let mut entries = BTreeMap::<_, i128>::new();
        let mut sum = 0i128;
        for (account, amount) in amounts {
            let entry = entries.entry(account).or_default();
            *entry = entry.checked_add(amount).ok_or(LedgerError::Overflow)?;
            sum = sum.checked_add(amount).ok_or(LedgerError::Overflow)?;
        }
        if sum != 0 {
            return Err(LedgerError::Unbalanced(sum));
        }
        entries.retain(|_, amount| *amount != 0);
        Ok(Self { kind, reference, entries })
    }

    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    #[must_use]
    pub const fn reference(&self) -> Option<[u8; 32]> {
        self.reference
    }

    #[must_use]
    pub const fn entries(&self) -> &BTreeMap<Account, i128> {
        &self.entries
    }
}

/// An amount as a signed entry.
///
/// # Errors
/// `Overflow` beyond 2¹²⁷ − 1.
pub fn signed(amount: Amount) -> Result<i128, LedgerError> {
    i128::try_from(amount.0).map_err(|_| LedgerError::Overflow)
}

/// The escrow on chain changed by `change`.
///
/// # Errors
/// See [`Transaction::new`].
pub fn deposit(requester: Address, change: i128) -> Result<Transaction, LedgerError> {
    let back = change.checked_neg().ok_or(LedgerError::Overflow)?;
    let amounts = [(Account::Available(requester), change), (Account::Deposited(requester), back)];
    Transaction::new(Kind::Deposit, None, amounts)
}

/// An order holds its budget.
///
/// # Errors
/// See [`Transaction::new`].
pub fn reserve(job: JobId, requester: Address, budget: Amount) -> Result<Transaction, LedgerError> {
    let budget = signed(budget)?;
    let amounts = [(Account::Available(requester), -budget), (Account::Reserved(requester), budget)];
    Transaction::new(Kind::Reserve, Some(job.0), amounts)
}

/// A verdict pays every accepted share: net to its payout, fee to the treasury, out of what the order holds.
///
/// # Errors
/// See [`Transaction::new`].
pub fn verdict(receipt: &Receipt, treasury: Address) -> Result<Transaction, LedgerError> {
    let debit = receipt.debit().map_err(|_| LedgerError::Overflow)?;
    let mut amounts = vec![(Account::Reserved(receipt.requester), -signed(debit)?)];
    for share in receipt.shares.iter().filter(|share| share.accepted) {
        amounts.push((Account::Credit(share.payout), signed(share.net)?));
        amounts.push((Account::Credit(treasury), signed(share.fee)?));
    }
    Transaction::new(Kind::Verdict, Some(receipt.task.0), amounts)
}

/// A finished job gives back what it did not spend.
///
/// # Errors
/// See [`Transaction::new`].
pub fn refund(job: JobId, requester: Address, rest: Amount) -> Result<Transaction, LedgerError> {
    let rest = signed(rest)?;
    let amounts = [(Account::Reserved(requester), -rest), (Account::Available(requester), rest)];
    Transaction::new(Kind::Refund, Some(job.0), amounts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_transaction_that_does_not_sum_to_zero_cannot_exist(amounts in prop::collection::vec((0u8..4, any::<i64>()), 0..8)) {
            let sum: i128 = amounts.iter().map(|(_, amount)| i128::from(*amount)).sum();
            let entries = amounts.iter().map(|(n, amount)| (Account::Credit(Address::repeat_byte(*n)), i128::from(*amount)));
            match Transaction::new(Kind::Verdict, None, entries) {
                Ok(transaction) => prop_assert_eq!(transaction.entries().values().sum::<i128>(), 0),
                Err(error) => prop_assert_eq!(error, LedgerError::Unbalanced(sum)),
            }
        }
    }

    #[test]
    fn amounts_beyond_the_ledger_are_refused() {
        assert_eq!(
            reserve(surge_protocol::Digest([0; 32]), Address::ZERO, Amount(u128::MAX)),
            Err(LedgerError::Overflow)
        );
        assert_eq!(deposit(Address::ZERO, i128::MIN), Err(LedgerError::Overflow));
    }
}
