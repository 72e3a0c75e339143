//! What an order must be, and that it is taken once.

use surge_protocol::api::{JobId, SubmitJob};
use surge_protocol::task::{BlobRef, DataSet, Limits};
use surge_protocol::{Amount, Digest};

use crate::actors::{Actor, PRICE, Requester};
use crate::harness::Net;

async fn refused(net: &Net, requester: &Requester, order: SubmitJob) -> (String, String) {
    let signed = requester.sign(net, order);
    let refusal = requester.submit(net, &signed).await.unwrap_err();
    (refusal.code, refusal.message)
}

#[tokio::test]
async fn an_order_is_taken_once_however_often_it_is_sent() {
    let net = Net::start().await;
    let requester = Requester::join(&net, 50).await;
    let draft = requester.draft(&net, &["abc"], 2).await;
    let order = requester.sign(&net, draft);
    let job = requester.submit(&net, &order).await.unwrap();
    assert_eq!(requester.submit(&net, &order).await.unwrap(), job);
    net.chain.state().down = true;
    assert_eq!(requester.submit(&net, &order).await.unwrap(), job, "what is known needs no chain");
    let account = net.account(requester.address()).await;
    assert_eq!(account.reserved, PRICE.checked_mul(2).unwrap());
    assert_eq!(net.job(job).await.waiting, 1);
    net.audit().await;
}

#[tokio::test]
async fn too_little_escrow_is_refused_with_both_numbers_until_more_is_deposited() {
    let net = Net::start().await;
    let requester = Requester::join(&net, 50).await;
    net.deposit(requester.address(), Amount::tokens(3));
    let draft = requester.draft(&net, &["abc"], 2).await;
    let order = requester.sign(&net, draft);
    let refusal = requester.submit(&net, &order).await.unwrap_err();
    assert_eq!((refusal.code.as_str(), refusal.status.as_u16()), ("insufficient_escrow", 402));
    assert!(refusal.message.contains("up to 4,") && refusal.message.contains("only 3 "), "{}", refusal.message);
    assert_eq!(net.account(requester.address()).await.deposited, Amount::tokens(3));

    net.deposit(requester.address(), Amount::tokens(4));
    requester.submit(&net, &order).await.unwrap();
    let draft = requester.draft(&net, &["abc"], 1).await;
    let (code, message) = refused(&net, &requester, SubmitJob { nonce: 2, ..draft }).await;
    assert!(code == "insufficient_escrow" && message.contains("only 0 "), "{message}");
    net.audit().await;
}

#[tokio::test]
async fn a_chain_that_is_down_delays_only_orders_that_need_a_newer_deposit() {
    let net = Net::start().await;
    let requester = Requester::join(&net, 50).await;
    requester.order(&net, &["abc"], 1).await;
    net.chain.state().down = true;
    let draft = requester.draft(&net, &["def"], 1).await;
    let order = requester.sign(&net, SubmitJob { nonce: 2, ..draft });
    requester.submit(&net, &order).await.expect("the escrow that is known suffices");

    let newcomer = Requester::join(&net, 51).await;
    let draft = newcomer.draft(&net, &["abc"], 1).await;
    let (code, _) = refused(&net, &newcomer, draft.clone()).await;
    assert_eq!(code, "chain_unavailable");
    net.chain.state().down = false;
    newcomer.submit(&net, &newcomer.sign(&net, draft)).await.unwrap();
}

#[tokio::test]
async fn a_requester_that_leaves_orders_nothing_more() {
    let net = Net::start().await;
    let requester = Requester::join(&net, 50).await;
    net.chain.state().leaving.push(requester.address());
    let draft = requester.draft(&net, &["abc"], 1).await;
    assert_eq!(refused(&net, &requester, draft).await.0, "requester_leaving");
}

#[tokio::test]
async fn blobs_must_be_there_with_their_size_and_the_module_must_be_one() {
    let net = Net::start().await;
    let requester = Requester::join(&net, 50).await;
    let draft = requester.draft(&net, &["abc"], 1).await;
    let absent = BlobRef { digest: Digest::of(b"never sent"), size: 10 };
    let longer = BlobRef { size: 4, ..draft.inputs[0] };
    let text = requester.0.upload(&net, b"#!/bin/sh").await;
    let empty = requester.0.upload(&net, b"").await;
    for (order, code) in [
        (SubmitJob { inputs: vec![absent], ..draft.clone() }, "missing_blob"),
        (SubmitJob { inputs: vec![draft.inputs[0], longer], ..draft.clone() }, "wrong_size"),
        (SubmitJob { module: text, ..draft.clone() }, "not_a_module"),
        (SubmitJob { module: empty, ..draft.clone() }, "not_a_module"),
    ] {
        assert_eq!(refused(&net, &requester, order).await.0, code);
    }
}

#[tokio::test]
async fn what_the_network_does_not_do_is_refused_with_the_bound() {
    let net = Net::with(|rules| rules.most_tasks = 3).await;
    let requester = Requester::join(&net, 50).await;
    let draft = requester.draft(&net, &["abc"], 1).await;
    let input = draft.inputs[0];
    let set = |name: &str| DataSet { name: name.into(), ..draft.data[0].clone() };
    let orders = [
        SubmitJob { inputs: Vec::new(), ..draft.clone() },
        SubmitJob { inputs: vec![input; 4], ..draft.clone() },
        SubmitJob { quorum: 0, ..draft.clone() },
        SubmitJob { quorum: 6, ..draft.clone() },
        SubmitJob { price: Amount::ZERO, ..draft.clone() },
        SubmitJob { price: Amount(u128::MAX), ..draft.clone() },
        SubmitJob { deadline: net.now_seconds(), ..draft.clone() },
        SubmitJob { deadline: net.now_seconds() + 365 * 86_400, ..draft.clone() },
        SubmitJob { deadline: u64::MAX, ..draft.clone() },
        SubmitJob { name: String::new(), ..draft.clone() },
        SubmitJob { name: "a\u{1b}[2J".into(), ..draft.clone() },
        SubmitJob { args: vec!["x".into(); 257], ..draft.clone() },
        SubmitJob { args: vec!["a\0b".into()], ..draft.clone() },
        SubmitJob { data: vec![set("../escape")], ..draft.clone() },
        SubmitJob { data: vec![set("twice"), set("twice")], ..draft.clone() },
        SubmitJob { limits: Limits { memory_bytes: 1 << 40, ..Limits::default() }, ..draft.clone() },
        SubmitJob { limits: Limits { output_bytes: u64::MAX, ..Limits::default() }, ..draft.clone() },
        SubmitJob { limits: Limits { cpu_ms: 0, ..Limits::default() }, ..draft.clone() },
    ];
    for order in orders {
        let shown = format!("{order:?}");
        assert_eq!(refused(&net, &requester, order).await.0, "bad_order", "{shown}");
    }
    // A budget that overflows cannot even be signed.
    let huge = SubmitJob { price: Amount(u128::MAX), quorum: 2, ..draft };
    assert_eq!(requester.submit(&net, &huge).await.unwrap_err().code, "bad_order");
}

#[tokio::test]
async fn only_the_requester_itself_can_order_and_nobody_can_change_the_order() {
    let net = Net::start().await;
    let (requester, other) = (Requester::join(&net, 50).await, Actor::open(&net, 51).await);
    let draft = requester.draft(&net, &["abc"], 1).await;
    let order = requester.sign(&net, draft);
    let stolen = net.post::<serde_json::Value>("/v1/jobs", Some(&other.token), &order).await;
    assert_eq!(stolen.unwrap_err().code, "not_yours");
    for changed in [
        SubmitJob { price: Amount::tokens(3), ..order.clone() },
        SubmitJob { args: Vec::new(), ..order.clone() },
        SubmitJob { seed: 8, ..order.clone() },
        SubmitJob { data: Vec::new(), ..order.clone() },
    ] {
        assert_eq!(requester.submit(&net, &changed).await.unwrap_err().code, "wrong_signature");
    }
    let unknown: JobId = Digest::of(b"nothing");
    let missing = net.get::<serde_json::Value>(&format!("/v1/jobs/{unknown}")).await.unwrap_err();
    assert_eq!((missing.status.as_u16(), missing.code.as_str()), (404, "unknown_job"));
    let missing = net.get::<serde_json::Value>(&format!("/v1/jobs/{unknown}/results")).await.unwrap_err();
    assert_eq!(missing.code, "unknown_job");
}

#[tokio::test]
async fn what_never_syncs_may_ask_for_ten_cpu_minutes() {
    let net = Net::start().await;
    let requester = Requester::join(&net, 50).await;
    let draft = requester.draft(&net, &["abc"], 1).await;
    let long = |draft: &SubmitJob, cpu_ms| SubmitJob { limits: Limits { cpu_ms, ..draft.limits }, ..draft.clone() };
    let (code, message) = refused(&net, &requester, long(&draft, 600_001)).await;
    assert!(code == "bad_order" && message.contains("fd_sync"), "{message}");

    let import = "(module (import \"wasi_snapshot_preview1\" \"fd_sync\" (func (param i32) (result i32))))";
    let module = requester.0.upload(&net, &wat::parse_str(import).unwrap()).await;
    let syncs = SubmitJob { module, ..long(&draft, 36_000_000) };
    requester.submit(&net, &requester.sign(&net, syncs)).await.unwrap();
}
