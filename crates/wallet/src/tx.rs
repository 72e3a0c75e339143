//! One transaction: what it calls, what it may cost, and its signed bytes. Pure.

use alloy::consensus::{SignableTransaction, TxEip1559};
use alloy::eips::eip2718::Encodable2718;
use alloy::primitives::{Bytes, Signature, TxKind, U256};
use k256::ecdsa::SigningKey;
use surge_protocol::B256;
use surge_protocol::sign::Key;
use zeroize::Zeroizing;

/// What a transaction does: a contract call, or a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) to: TxKind,
    pub(crate) data: Bytes,
}

/// The most that a transaction may cost, and its place in the account's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) nonce: u64,
    pub(crate) gas_limit: u64,
    /// Wei for a unit of gas.
    pub(crate) max_fee: u128,
    pub(crate) max_tip: u128,
}

impl Terms {
    pub(crate) fn most(&self) -> U256 {
        U256::from(self.gas_limit) * U256::from(self.max_fee)
    }
}

/// A transaction that can be sent, and sent again, without ever happening twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SignedTx {
    pub(crate) hash: B256,
    pub(crate) raw: Bytes,
}

pub(crate) fn sign(key: &Key, chain_id: u64, call: &Call, terms: &Terms) -> SignedTx {
    let tx = TxEip1559 {
        chain_id,
        nonce: terms.nonce,
        gas_limit: terms.gas_limit,
        max_fee_per_gas: terms.max_fee,
        max_priority_fee_per_gas: terms.max_tip,
        to: call.to,
        value: U256::ZERO,
        access_list: Default::default(),
        input: call.data.clone(),
    };
    let secret = Zeroizing::new(key.to_bytes());
    let signer = SigningKey::from_slice(&*secret).expect("a key's bytes are a key");
    let signature =
        signer.sign_prehash_recoverable(tx.signature_hash().as_slice()).expect("a 32-byte hash can be signed");
    let signed = tx.into_signed(Signature::from(signature));
    SignedTx { hash: *signed.hash(), raw: signed.encoded_2718().into() }
}
