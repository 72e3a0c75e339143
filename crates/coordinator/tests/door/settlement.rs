//! Epochs: built when due, proposed once, finalized after the window, whatever breaks in between.

use alloy::primitives::keccak256;
use surge_protocol::epoch::EpochFile;
use surge_protocol::merkle::{self, Side};
use surge_protocol::{Amount, B256};

use crate::actors::{Node, Requester};
use crate::harness::{Net, START};

/// A network in which two nodes have validated the tasks of one job.
async fn earned(net: &Net, inputs: &[&str]) -> (Requester, Node, Node) {
    let requester = Requester::join(net, 50).await;
    let (one, two) = (Node::join(net, 10).await, Node::join(net, 11).await);
    requester.order(net, inputs, 2).await;
    for _ in inputs {
        assert!(one.work(net).await && two.work(net).await);
    }
    (requester, one, two)
}

async fn finalized(net: &Net, epoch: u64) {
    net.pass_until("the epoch is finalized", || async { (net.status().await.epoch == epoch).then_some(()) }).await;
}

#[tokio::test]
async fn an_epoch_settles_what_was_earned_and_its_proof_holds() {
    let net = Net::start().await;
    net.chain.state().finalizable_at = u64::MAX;
    let (_, one, _) = earned(&net, &["a", "b"]).await;
    let credited = net.account(one.payout).await.credited;
    assert!(net.account(one.payout).await.settled.is_none());
    assert_eq!(net.status().await.receipts_unsettled, 2);

    net.pass_until("the epoch is proposed", || async { (net.chain.state().proposals == 1).then_some(()) }).await;
    assert!(net.now_seconds() >= START + 60, "not before its interval");
    assert!(net.account(one.payout).await.settled.is_none(), "proposed is not final");
    let window_ends = net.now_seconds() + 100;
    net.chain.state().epochs.get_mut(&1).unwrap().finalizable_at = window_ends;
    finalized(&net, 1).await;
    assert!(net.now_seconds() >= window_ends, "not before its window ends");

    let status = net.status().await;
    assert_eq!(
        (status.epoch_propose_tx, status.epoch_finalize_tx),
        (Some(B256::repeat_byte(0xaa)), Some(B256::repeat_byte(0xbb)))
    );
    assert_eq!((status.receipts_unsettled, status.chain_trouble), (0, None));
    let bytes = net.http.get(net.url("/v1/epochs/1")).send().await.unwrap().bytes().await.unwrap();
    let file: EpochFile = serde_json::from_slice(&bytes).unwrap();
    file.check(None).unwrap();
    assert_eq!(keccak256(&bytes), net.chain.state().epochs[&1].data_hash, "the very bytes that the chain knows");
    let settled = net.account(one.payout).await.settled.unwrap();
    assert_eq!((settled.epoch, settled.cumulative), (1, credited));
    let leaf = merkle::leaf(file.chain_id, file.settlement, Side::Credit, one.payout, credited);
    assert!(merkle::verify(net.chain.state().files[0].root(Side::Credit), leaf, &settled.proof));
    let chain = net.chain.state();
    assert_eq!((chain.proposals, chain.finalizations), (1, 1));
}

#[tokio::test]
async fn later_epochs_add_up_and_none_is_built_without_receipts() {
    let net = Net::start().await;
    let (requester, one, two) = earned(&net, &["a"]).await;
    finalized(&net, 1).await;
    net.advance(600);
    for _ in 0..20 {
        net.advance(1);
        net.status().await;
    }
    assert_eq!(net.chain.state().proposals, 1, "nothing to settle, nothing proposed");
    let draft = requester.draft(&net, &["b"], 2).await;
    let order = requester.sign(&net, surge_protocol::api::SubmitJob { nonce: 2, ..draft });
    requester.submit(&net, &order).await.unwrap();
    assert!(one.work(&net).await && two.work(&net).await);
    finalized(&net, 2).await;
    let files = net.chain.state().files.clone();
    files[1].check(Some(&files[0])).unwrap();
    assert_eq!(files[1].previous, files[0].data_hash());
    let account = net.account(one.payout).await;
    assert_eq!(account.settled.unwrap().cumulative, account.credited);
    for side in [Side::Credit, Side::Debit] {
        assert_eq!(files[1].total(side).unwrap(), Amount::tokens(8));
    }
}

#[tokio::test]
async fn a_chain_that_is_down_is_named_in_the_status_and_work_goes_on() {
    let net = Net::start().await;
    let (requester, one, two) = earned(&net, &["a"]).await;
    net.chain.state().down = true;
    net.pass_until("the status says so", || async { net.status().await.chain_trouble }).await;
    let draft = requester.draft(&net, &["b"], 2).await;
    let order = requester.sign(&net, surge_protocol::api::SubmitJob { nonce: 2, ..draft });
    let job = requester.submit(&net, &order).await.unwrap();
    assert!(one.work(&net).await && two.work(&net).await);
    assert_eq!(net.job(job).await.validated, 1);
    net.chain.state().down = false;
    finalized(&net, 1).await;
    assert_eq!(net.status().await.chain_trouble, None);
    finalized(&net, 2).await;
    assert_eq!(net.chain.state().proposals, 2);
}

#[tokio::test]
async fn a_proposal_whose_answer_was_lost_is_not_made_again() {
    let net = Net::start().await;
    net.chain.state().lose_answer = true;
    earned(&net, &["a"]).await;
    finalized(&net, 1).await;
    assert_eq!(net.chain.state().proposals, 1);
    assert_eq!(net.status().await.epoch_propose_tx, None, "its transaction is not known, and not made up");
}

#[tokio::test]
async fn a_restart_between_any_two_steps_repeats_none() {
    let mut net = Net::start().await;
    net.chain.state().finalizable_at = START + 100_000;
    let (_, one, _) = earned(&net, &["a"]).await;
    net.chain.state().down = true;
    net.pass_until("the epoch is built", || async {
        let built: Result<EpochFile, _> = net.get("/v1/epochs/1").await;
        built.ok().map(|_| ())
    })
    .await;
    let before = net.http.get(net.url("/v1/epochs/1")).send().await.unwrap().bytes().await.unwrap();
    net.restart().await;
    net.chain.state().down = false;
    net.pass_until("it is proposed", || async { (net.chain.state().proposals == 1).then_some(()) }).await;
    net.restart().await;
    net.chain.state().finalizable_at = 0;
    net.chain.state().epochs.get_mut(&1).unwrap().finalizable_at = START;
    finalized(&net, 1).await;
    net.restart().await;
    let after = net.http.get(net.url("/v1/epochs/1")).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(before, after);
    assert_eq!(net.account(one.payout).await.settled.unwrap().epoch, 1, "known right after the start");
    let chain = net.chain.state();
    assert_eq!((chain.proposals, chain.finalizations), (1, 1));
}

#[tokio::test]
async fn a_vetoed_epoch_waits_for_people() {
    let net = Net::start().await;
    net.chain.state().finalizable_at = START + 100_000;
    earned(&net, &["a"]).await;
    net.pass_until("it is proposed", || async { (net.chain.state().proposals == 1).then_some(()) }).await;
    net.pass_until("its transaction is noted", || async {
        let row = net.coordinator().store().newest_epoch().await.unwrap().unwrap();
        row.propose_tx
    })
    .await;
    net.chain.state().epochs.clear();
    let trouble = net.pass_until("the status says so", || async { net.status().await.chain_trouble }).await;
    assert!(trouble.contains("epoch 1") && trouble.contains("vetoed"), "{trouble}");
    assert_eq!(net.chain.state().proposals, 1);
}
