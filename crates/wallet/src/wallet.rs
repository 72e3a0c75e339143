//! An unlocked wallet: one key, and the few things that it may sign.
//!
//! It does not hold the words, and it signs no bytes that somebody else chose: only messages of the protocol and, through
//! `Money`, calls of the network's two contracts.

use std::fmt;

use surge_protocol::Address;
use surge_protocol::api::SubmitJob;
use surge_protocol::network::Network;
use surge_protocol::sign::{Key, PayoutBinding, Session, Signed};

/// The key of one account, in memory. `Debug` shows the address only.
pub struct Wallet {
    key: Key,
    address: Address,
}

impl Wallet {
    /// A wallet around a key that did not come from a vault: an operator's, a test's.
    #[must_use]
    pub fn from_key(key: Key) -> Self {
        Self { address: key.address(), key }
    }

    #[must_use]
    pub fn address(&self) -> Address {
        self.address
    }

    /// States that this account takes the rewards of `node`. `issued_at` is unix seconds.
    #[must_use]
    pub fn sign_payout_binding(&self, network: &Network, node: Address, issued_at: u64) -> Signed {
        let binding = PayoutBinding { node, payout: self.address, issuedAt: issued_at };
        self.key.sign(&binding, &network.domain())
    }

    /// Opens a session with the coordinator as this account. `issued_at` is unix seconds.
    #[must_use]
    pub fn sign_session(&self, network: &Network, issued_at: u64) -> Signed {
        self.key.sign(&Session { who: self.address, issuedAt: issued_at }, &network.domain())
    }

    /// Signs a job's order as its requester; the job's `requester` must be this account. `None` when it is not, or when
    /// the budget overflows.
    #[must_use]
    pub fn sign_order(&self, network: &Network, job: &SubmitJob) -> Option<Signed> {
        let order = job.order().filter(|order| order.requester == self.address)?;
        Some(self.key.sign(&order, &network.domain()))
    }

    /// The key, for callers that speak the protocol themselves.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }
}

impl fmt::Debug for Wallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wallet({})", self.address)
    }
}
