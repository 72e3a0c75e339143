//! Merkle leaves, roots and proofs exactly as the Settlement contract checks them (sorted pairs, double-hashed leaves,
//! after OpenZeppelin's `MerkleProof`).

use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_sol_types::SolValue;

use crate::Amount;

/// Which of the two trees of an epoch a leaf belongs to. The number is part of the leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Credit = 0,
    Debit = 1,
}

/// The leaf of `account` with its cumulative amount:
/// `keccak256(keccak256(abi.encode(chainId, settlement, side, account, cumulative)))`.
#[must_use]
pub fn leaf(chain_id: u64, settlement: Address, side: Side, account: Address, cumulative: Amount) -> B256 {
    let encoded = (U256::from(chain_id), settlement, U256::from(side as u8), account, U256::from(cumulative.0))
        .abi_encode_params();
    keccak256(keccak256(encoded))
}

fn pair(a: B256, b: B256) -> B256 {
    let (low, high) = if a <= b { (a, b) } else { (b, a) };
    keccak256([low.as_slice(), high.as_slice()].concat())
}

fn parents(level: &[B256]) -> Vec<B256> {
    level.chunks(2).map(|pairs| if let [a, b] = pairs { pair(*a, *b) } else { pairs[0] }).collect()
}

/// The root over `leaves` in the order given; an odd node moves up unchanged. No leaves: zero.
#[must_use]
pub fn root(leaves: &[B256]) -> B256 {
    let mut level = leaves.to_vec();
    while level.len() > 1 {
        level = parents(&level);
    }
    level.first().copied().unwrap_or(B256::ZERO)
}

/// The proof of `leaves[index]`, from the bottom up.
///
/// # Panics
/// When `index` is out of range.
#[must_use]
pub fn proof(leaves: &[B256], mut index: usize) -> Vec<B256> {
    assert!(index < leaves.len(), "no leaf {index} of {}", leaves.len());
    let mut level = leaves.to_vec();
    let mut path = Vec::new();
    while level.len() > 1 {
        path.extend(level.get(index ^ 1));
        level = parents(&level);
        index /= 2;
    }
    path
}

/// Whether `path` leads from `leaf` to `root`.
#[must_use]
pub fn verify(root: B256, leaf: B256, path: &[B256]) -> bool {
    path.iter().fold(leaf, |node, sibling| pair(node, *sibling)) == root
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_leaf_is_proven_and_no_other(count in 1usize..40, pick in any::<prop::sample::Index>(), wrong in any::<u64>()) {
            let settlement = Address::repeat_byte(7);
            let leaves: Vec<_> = (0..count as u64)
                .map(|n| leaf(1, settlement, Side::Credit, Address::left_padding_from(&n.to_be_bytes()), Amount(n.into())))
                .collect();
            let index = pick.index(count);
            let path = proof(&leaves, index);
            prop_assert!(verify(root(&leaves), leaves[index], &path));
            let forged = leaf(1, settlement, Side::Credit, Address::ZERO, Amount(u128::from(wrong) + 1_000));
            prop_assert!(!verify(root(&leaves), forged, &path));
        }
    }

    #[test]
    fn sides_chains_and_contracts_do_not_mix() {
        let (a, b) = (Address::repeat_byte(1), Address::repeat_byte(2));
        let base = leaf(1, a, Side::Credit, b, Amount(5));
        assert_ne!(base, leaf(1, a, Side::Debit, b, Amount(5)));
        assert_ne!(base, leaf(2, a, Side::Credit, b, Amount(5)));
        assert_ne!(base, leaf(1, b, Side::Credit, a, Amount(5)));
    }
}
