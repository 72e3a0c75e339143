//! Leaves, roots and proofs that the contract's own test checks against the Solidity encoding.
//!
//! `SURGE_BLESS=1 cargo test -p surge-wallet --test merkle_vectors` writes the file; without it the test compares.

use serde_json::{Value, json};
use surge_protocol::merkle::{Side, leaf, proof, root};
use surge_protocol::{Address, Amount};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../contracts/test/vectors/merkle.json");
const CHAIN_ID: u64 = 84_532;

fn rows() -> Vec<(Address, Amount)> {
    let amounts = [1, 10u128.pow(18), 37 * 10u128.pow(15) + 1, u128::from(u64::MAX) + 1, u128::MAX, 5, 6];
    amounts.iter().zip(1u8..).map(|(amount, n)| (Address::repeat_byte(n * 17), Amount(*amount))).collect()
}

fn vectors() -> Value {
    let deployer = Address::repeat_byte(0xd1);
    let settlement = deployer.create(0);
    let rows = rows();
    let leaves = |side| -> Vec<_> {
        rows.iter().map(|(account, amount)| leaf(CHAIN_ID, settlement, side, *account, *amount)).collect()
    };
    let (credit, debit) = (leaves(Side::Credit), leaves(Side::Debit));
    let listed: Vec<_> = rows
        .iter()
        .enumerate()
        .map(|(index, (account, amount))| {
            json!({
                "account": account,
                "cumulative": amount,
                "credit_leaf": credit[index],
                "credit_proof": proof(&credit, index),
                "debit_leaf": debit[index],
                "debit_proof": proof(&debit, index),
            })
        })
        .collect();
    json!({
        "chain_id": CHAIN_ID,
        "deployer": deployer,
        "settlement": settlement,
        "count": rows.len(),
        "credit_root": root(&credit),
        "debit_root": root(&debit),
        "rows": listed,
    })
}

#[test]
fn the_checked_in_vectors_are_what_the_code_makes() {
    let text = serde_json::to_string_pretty(&vectors()).unwrap() + "\n";
    if std::env::var_os("SURGE_BLESS").is_some() {
        std::fs::write(FILE, &text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(FILE).unwrap(), text, "run with SURGE_BLESS=1 and forge test");
}
