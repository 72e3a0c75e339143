//! The network manifest: everything a contributor or requester must know to attach, signed by the coordinator's key.

use alloy_primitives::{Address, B256};
use alloy_sol_types::Eip712Domain;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::Digest;
use crate::sign::{Key, NetworkManifest, SignatureError, Signed, domain};
use crate::split::WHOLE_BPS;

/// A network. Nothing about one is compiled in: attaching is reading this file or fetching it from a coordinator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    pub name: String,
    /// Coordinator base URLs, tried in order.
    pub coordinators: Vec<String>,
    pub chain_id: u64,
    /// JSON-RPC URLs of the chain, tried in order.
    pub rpc: Vec<String>,
    /// The reward token (ERC-20).
    pub token: Address,
    /// Escrow and epochs.
    pub settlement: Address,
    /// Where the network's fee is credited.
    pub treasury: Address,
    /// The network's fee, basis points of every accepted execution's price.
    pub fee_bps: u16,
    /// Signs receipts and this manifest.
    pub coordinator_key: Address,
}

/// A manifest and the coordinator's signature over it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedNetwork {
    pub network: Network,
    pub signature: Signed,
}

#[derive(Debug, Error, PartialEq, Eq)]
pub enum NetworkError {
    #[error("the manifest's signature is wrong")]
    Signature(#[from] SignatureError),
    #[error("the fee of {0} basis points is more than the whole price")]
    Fee(u16),
    #[error("the manifest names no {0}")]
    Empty(&'static str),
}

impl Network {
    #[must_use]
    pub fn domain(&self) -> Eip712Domain {
        domain(self.chain_id, self.settlement)
    }

    fn message(&self) -> NetworkManifest {
        let canonical = serde_json::to_vec(self).expect("a manifest has string keys only");
        NetworkManifest { manifest: B256::from(Digest::of(&canonical).0) }
    }

    /// Signs the manifest with the coordinator's key.
    #[must_use]
    pub fn sign(self, key: &Key) -> SignedNetwork {
        let signature = key.sign(&self.message(), &self.domain());
        SignedNetwork { network: self, signature }
    }
}

impl SignedNetwork {
    /// Checks signature and contents.
    ///
    /// # Errors
    /// See [`NetworkError`].
    pub fn verified(self) -> Result<Network, NetworkError> {
        let network = self.network;
        self.signature.verify(&network.message(), &network.domain(), network.coordinator_key)?;
        if u128::from(network.fee_bps) > WHOLE_BPS {
            return Err(NetworkError::Fee(network.fee_bps));
        }
        if network.coordinators.is_empty() {
            return Err(NetworkError::Empty("coordinator"));
        }
        if network.rpc.is_empty() {
            return Err(NetworkError::Empty("RPC URL"));
        }
        Ok(network)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(key: &Key) -> Network {
        Network {
            name: "test".into(),
            coordinators: vec!["http://127.0.0.1:1".into()],
            chain_id: 31337,
            rpc: vec!["http://127.0.0.1:2".into()],
            token: Address::repeat_byte(1),
            settlement: Address::repeat_byte(2),
            treasury: Address::repeat_byte(3),
            fee_bps: 500,
            coordinator_key: key.address(),
        }
    }

    #[test]
    fn a_changed_manifest_is_refused() {
        let key = Key::from_bytes(&[9; 32]).unwrap();
        let signed = network(&key).sign(&key);
        assert!(signed.clone().verified().is_ok());
        let mut forged = signed;
        forged.network.treasury = Address::repeat_byte(66);
        assert!(matches!(forged.verified(), Err(NetworkError::Signature(_))));
    }

    #[test]
    fn a_fee_above_the_price_is_refused() {
        let key = Key::from_bytes(&[9; 32]).unwrap();
        let greedy = Network { fee_bps: 10_001, ..network(&key) };
        assert_eq!(greedy.sign(&key).verified(), Err(NetworkError::Fee(10_001)));
    }
}
