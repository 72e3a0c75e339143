//! Keys and signatures: secp256k1 over EIP-712, so that a wallet, a contract and this code agree on what was signed.

use std::fmt;

use alloy_primitives::{Address, B256, Signature};
use alloy_sol_types::{Eip712Domain, SolStruct, eip712_domain, sol};
use k256::ecdsa::SigningKey;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

sol! {
    /// Opens a session with the coordinator; `issued_at` is unix seconds and must be recent.
    #[derive(Debug, PartialEq, Eq)]
    struct Session { address who; uint64 issuedAt; }

    /// The payout account takes the node's rewards. Signed by the payout key, and by the node's device key: neither can send
    /// the other's money elsewhere alone.
    #[derive(Debug, PartialEq, Eq)]
    struct PayoutBinding { address node; address payout; uint64 issuedAt; }

    /// A requester's order. `program` is the digest of what is run besides the module: arguments, data sets, limits,
    /// meter, seed and the name shown; `inputs` that of the concatenated input digests. Signed by the requester.
    #[derive(Debug, PartialEq, Eq)]
    struct Order {
        address requester;
        bytes32 module;
        bytes32 program;
        bytes32 inputs;
        uint64 tasks;
        uint256 price;
        uint8 quorum;
        uint256 budget;
        uint64 deadline;
        uint64 nonce;
    }

    /// A node's result for a lease. Signed by the node's device key.
    #[derive(Debug, PartialEq, Eq)]
    struct TaskResult {
        bytes32 lease;
        bytes32 task;
        bytes32 digest;
        bytes32 output;
        string runtimeClass;
        string outcome;
        string code;
        uint64 fuel;
        uint64 cpuMs;
        bool resumed;
    }

    /// The coordinator's verdict on a task: `receipt` is the digest of the receipt's canonical JSON.
    #[derive(Debug, PartialEq, Eq)]
    struct Verdict { bytes32 task; bytes32 receipt; }

    /// A network manifest: `manifest` is the digest of its canonical JSON without the signature.
    #[derive(Debug, PartialEq, Eq)]
    struct NetworkManifest { bytes32 manifest; }
}

/// The signing domain of a network: its chain and its Settlement contract.
#[must_use]
pub fn domain(chain_id: u64, settlement: Address) -> Eip712Domain {
    eip712_domain! { name: "Surge", version: "1", chain_id: chain_id, verifying_contract: settlement, }
}

/// A secp256k1 key. `Debug` shows its address only; the secret is wiped on drop.
pub struct Key(SigningKey);

#[derive(Debug, Error, PartialEq, Eq)]
pub enum SignatureError {
    #[error("32 bytes that are not a secp256k1 key")]
    NotAKey,
    #[error("the signature is malformed")]
    Malformed,
    #[error("signed by {actual}, expected {expected}")]
    WrongSigner { expected: Address, actual: Address },
}

impl Key {
    /// A key from 32 secret bytes.
    ///
    /// # Errors
    /// `NotAKey` for zero and for values beyond the curve's order.
    pub fn from_bytes(secret: &[u8; 32]) -> Result<Self, SignatureError> {
        SigningKey::from_slice(secret).map(Self).map_err(|_| SignatureError::NotAKey)
    }

    /// The secret, for writing it to where it is kept. The caller wipes it.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes().into()
    }

    #[must_use]
    pub fn address(&self) -> Address {
        Address::from_private_key(&self.0)
    }

    /// Signs `message` in `domain`.
    #[must_use]
    pub fn sign<T: SolStruct>(&self, message: &T, domain: &Eip712Domain) -> Signed {
        let hash = message.eip712_signing_hash(domain);
        let signature = self.0.sign_prehash_recoverable(hash.as_slice()).expect("a 32-byte hash can be signed");
        Signed(Signature::from(signature).as_bytes())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.address())
    }
}

/// A 65-byte recoverable signature; JSON carries it as 0x-hex.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signed(pub [u8; 65]);

impl Signed {
    /// Who signed `message` in `domain`.
    ///
    /// # Errors
    /// `Malformed` when no key can have made this signature.
    pub fn signer<T: SolStruct>(&self, message: &T, domain: &Eip712Domain) -> Result<Address, SignatureError> {
        Signature::from_raw_array(&self.0)
            .and_then(|signature| signature.recover_address_from_prehash(&message.eip712_signing_hash(domain)))
            .map_err(|_| SignatureError::Malformed)
    }

    /// Checks that `expected` signed `message` in `domain`.
    ///
    /// # Errors
    /// `Malformed`, or `WrongSigner` with both addresses.
    pub fn verify<T: SolStruct>(
        &self,
        message: &T,
        domain: &Eip712Domain,
        expected: Address,
    ) -> Result<(), SignatureError> {
        let actual = self.signer(message, domain)?;
        if actual == expected { Ok(()) } else { Err(SignatureError::WrongSigner { expected, actual }) }
    }
}

impl fmt::Debug for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signed(0x{})", hex::encode(self.0))
    }
}

impl Serialize for Signed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("0x{}", hex::encode(self.0)))
    }
}

impl<'de> Deserialize<'de> for Signed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut bytes = [0; 65];
        hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(&text), &mut bytes)
            .map_err(|_| de::Error::custom("expected 65 bytes of hex"))?;
        Ok(Self(bytes))
    }
}

/// The digest that an [`Order`] commits its inputs to: BLAKE3 over the input digests in order.
#[must_use]
pub fn inputs_digest(inputs: &[crate::Digest]) -> B256 {
    let mut hasher = blake3::Hasher::new();
    for input in inputs {
        hasher.update(&input.0);
    }
    B256::from(*hasher.finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_names_its_signer_and_only_for_its_message_and_domain() {
        let key = Key::from_bytes(&[7; 32]).unwrap();
        let (here, there) = (domain(1, Address::ZERO), domain(2, Address::ZERO));
        let message = Session { who: key.address(), issuedAt: 5 };
        let signed = key.sign(&message, &here);
        assert_eq!(signed.verify(&message, &here, key.address()), Ok(()));
        assert!(matches!(signed.verify(&message, &there, key.address()), Err(SignatureError::WrongSigner { .. })));
        let other = Session { who: key.address(), issuedAt: 6 };
        assert!(signed.verify(&other, &here, key.address()).is_err());
    }

    #[test]
    fn a_key_never_shows_its_secret() {
        let key = Key::from_bytes(&[7; 32]).unwrap();
        assert!(!format!("{key:?}").contains("0707"));
        assert_eq!(Key::from_bytes(&[0; 32]).unwrap_err(), SignatureError::NotAKey);
    }
}
