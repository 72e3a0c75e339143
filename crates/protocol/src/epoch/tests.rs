use super::*;
use proptest::prelude::*;

const CHAIN: u64 = 31337;

fn settlement() -> Address {
    Address::repeat_byte(2)
}

fn key(n: u8) -> Key {
    Key::from_bytes(&[n; 32]).unwrap()
}

/// A receipt with one share per entry of `verdicts`.
fn receipt(n: u64, price: u128, fee_bps: u16, verdicts: &[bool]) -> SignedReceipt {
    let task = Digest::of(&n.to_le_bytes());
    let truth = Digest::of(b"true");
    let shares = verdicts.iter().enumerate().map(|(i, accepted)| {
        let node = key(10 + i as u8);
        let result = ResultBody {
            lease: Digest::of(&[i as u8]),
            task,
            outcome: Outcome::Done,
            code: Code::Status(0),
            digest: if *accepted { truth } else { Digest::of(b"false") },
            output: truth,
            runtime_class: "test".into(),
            fuel: 0,
            cpu_ms: 1,
            resumed: false,
        };
        let due = if *accepted { split(Amount(price), fee_bps) } else { split(Amount::ZERO, 0) };
        Share {
            node: node.address(),
            payout: key(20 + i as u8).address(),
            signature: node.sign(&result.message(), &domain(CHAIN, settlement())),
            result,
            accepted: *accepted,
            fee: due.fee,
            net: due.net,
        }
    });
    let receipt = Receipt {
        task,
        job: Digest::of(b"job"),
        index: n,
        requester: key(30).address(),
        module: truth,
        input: truth,
        digest: truth,
        confirmed_by: ConfirmedBy::Quorum,
        price: Amount(price),
        shares: shares.collect(),
    };
    receipt.sign(&key(1), CHAIN, settlement())
}

fn file(mut receipts: Vec<SignedReceipt>, fee_bps: u16, previous: Option<&EpochFile>) -> EpochFile {
    receipts.sort_by_key(|signed| signed.receipt.task);
    let (mut credits, mut debits) =
        previous.map(|file| (balances(&file.credits), balances(&file.debits))).unwrap_or_default();
    let treasury = Address::repeat_byte(3);
    apply(receipts.iter().map(|signed| &signed.receipt), treasury, &mut credits, &mut debits).unwrap();
    EpochFile {
        chain_id: CHAIN,
        settlement: settlement(),
        epoch: previous.map_or(1, |file| file.epoch + 1),
        previous: previous.map_or(B256::ZERO, EpochFile::data_hash),
        coordinator_key: key(1).address(),
        treasury,
        fee_bps,
        receipts,
        credits: rows(&credits),
        debits: rows(&debits),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn what_requesters_pay_is_what_others_get(
        prices in prop::collection::vec(0u128..u128::from(u64::MAX), 1..6), fee in 0u16..=10_000, second in any::<bool>(),
    ) {
        let receipts = |from: u64| prices.iter().zip(from..).map(|(price, n)| receipt(n, *price, fee, &[true, second])).collect();
        let first = file(receipts(0), fee, None);
        prop_assert_eq!(first.check(None), Ok(()));
        let next = file(receipts(100), fee, Some(&first));
        prop_assert_eq!(next.check(Some(&first)), Ok(()));
        for epoch in [&first, &next] {
            prop_assert_eq!(epoch.total(Side::Credit), epoch.total(Side::Debit));
        }
        for row in &next.credits {
            let (amount, path) = next.credit_proof(row.account).unwrap();
            let leaf = merkle::leaf(CHAIN, settlement(), Side::Credit, row.account, amount);
            prop_assert!(merkle::verify(next.root(Side::Credit), leaf, &path));
        }
    }
}

#[test]
fn a_tampered_epoch_is_refused() {
    let honest = file(vec![receipt(1, 1_000, 500, &[true, false]), receipt(2, 1_000, 500, &[true, true])], 500, None);
    assert_eq!(honest.check(None), Ok(()));

    let mut paid_more = honest.clone();
    paid_more.credits[0].cumulative.0 += 1;
    assert_eq!(paid_more.check(None), Err(EpochError::Rows("credit")));

    let mut edited = honest.clone();
    edited.receipts[0].receipt.price.0 += 1;
    assert!(matches!(edited.check(None), Err(EpochError::Signature { .. })));

    let mut twice = honest;
    twice.receipts.push(twice.receipts[1].clone());
    assert!(matches!(twice.check(None), Err(EpochError::Order(_))));
}

#[test]
fn a_rejected_share_earns_nothing() {
    let epoch = file(vec![receipt(1, 1_000, 500, &[true, false])], 500, None);
    assert!(epoch.credit_proof(key(20).address()).is_some());
    assert!(epoch.credit_proof(key(21).address()).is_none());
    assert_eq!(epoch.total(Side::Debit), Ok(Amount(1_000)));
}
