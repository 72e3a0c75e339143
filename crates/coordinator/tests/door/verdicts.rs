//! Who is paid: agreement, disagreement, too few nodes.

use surge_protocol::Amount;
use surge_protocol::api::JobState;
use surge_protocol::epoch::{ConfirmedBy, ResultBody, SignedReceipt};
use surge_protocol::split::split;

use crate::actors::{Node, PRICE, Requester};
use crate::harness::Net;

async fn receipts(net: &Net, of: surge_protocol::Address) -> Vec<SignedReceipt> {
    net.get(&format!("/v1/accounts/{of}/receipts")).await.unwrap()
}

#[tokio::test]
async fn agreement_of_two_payouts_pays_both_and_ends_the_job() {
    let net = Net::start().await;
    let requester = Requester::join(&net, 50).await;
    let (one, two) = (Node::join(&net, 10).await, Node::join(&net, 11).await);
    let job = requester.order(&net, &["abc", "def"], 2).await;
    for _ in 0..2 {
        assert!(one.work(&net).await);
        assert!(two.work(&net).await);
    }
    let status = net.job(job).await;
    assert_eq!((status.state, status.validated, status.waiting, status.running), (JobState::Done, 2, 0, 0));
    assert_eq!(status.spent, PRICE.checked_mul(4).unwrap());

    let due = split(PRICE, net.network.fee_bps);
    for node in [&one, &two] {
        let account = net.account(node.payout).await;
        assert_eq!((account.accepted, account.rejected, account.awaiting_verdict), (2, 0, 0));
        assert_eq!(account.credited, due.net.checked_mul(2).unwrap());
    }
    assert_eq!(net.account(net.network.treasury).await.credited, due.fee.checked_mul(4).unwrap());
    let account = net.account(requester.address()).await;
    assert_eq!((account.reserved, account.spent), (Amount::ZERO, PRICE.checked_mul(4).unwrap()));
    net.audit().await;

    let mine = receipts(&net, one.payout).await;
    assert_eq!(mine.len(), 2);
    assert!(mine.iter().all(|signed| signed.receipt.confirmed_by == ConfirmedBy::Quorum));
    assert!(net.replay.runs.lock().unwrap().is_empty(), "agreement needs no replay");
    let rows: Vec<surge_protocol::api::TaskResultRow> = net.get(&format!("/v1/jobs/{job}/results")).await.unwrap();
    let output = net.http.get(net.url(&format!("/v1/blobs/{}", rows[1].output.digest))).send().await.unwrap();
    assert_eq!(output.bytes().await.unwrap(), "fed");
    assert_eq!((rows[1].index, rows[1].output.size, rows[1].nodes.len()), (1, 3, 2));
}

#[tokio::test]
async fn disagreement_is_replayed_and_the_wrong_node_is_unpaid() {
    let net = Net::start().await;
    let requester = Requester::join(&net, 50).await;
    let (honest, liar) = (Node::join(&net, 10).await, Node::join(&net, 11).await);
    let job = requester.order(&net, &["abc"], 2).await;
    assert!(liar.cheat(&net).await);
    assert!(honest.work(&net).await);
    assert_eq!(net.account(liar.payout).await.awaiting_verdict, 1);

    let status = net
        .pass_until("the replay decides", || async {
            let status = net.job(job).await;
            (status.state == JobState::Done).then_some(status)
        })
        .await;
    assert_eq!((status.validated, status.rejected, status.spent), (1, 1, PRICE));
    let (paid, unpaid) = (net.account(honest.payout).await, net.account(liar.payout).await);
    assert_eq!((paid.accepted, paid.credited), (1, split(PRICE, net.network.fee_bps).net));
    assert_eq!((unpaid.rejected, unpaid.credited), (1, Amount::ZERO));
    let receipt = &receipts(&net, liar.payout).await[0].receipt;
    assert_eq!(receipt.confirmed_by, ConfirmedBy::Replay);
    assert_eq!(receipt.shares.iter().filter(|share| share.accepted).count(), 1);
    let account = net.account(requester.address()).await;
    assert_eq!((account.reserved, account.spent), (Amount::ZERO, PRICE), "the rest of the budget is free again");
    net.audit().await;
}

#[tokio::test]
async fn an_order_of_one_execution_is_checked_by_a_replay() {
    let net = Net::start().await;
    let requester = Requester::join(&net, 50).await;
    let node = Node::join(&net, 10).await;
    let job = requester.order(&net, &["abc"], 1).await;
    assert!(node.work(&net).await);
    assert!(!node.work(&net).await, "one execution is all that is paid");
    net.pass_until("the replay confirms it", || async { (net.job(job).await.state == JobState::Done).then_some(()) })
        .await;
    let runs = net.replay.runs.lock().unwrap();
    assert_eq!(runs.len(), 1);
    assert_eq!((runs[0].seed, runs[0].args.clone(), runs[0].data.len()), (7, vec!["--fast".to_owned()], 1));
}

#[tokio::test]
async fn with_too_few_nodes_the_coordinator_confirms_after_its_patience() {
    let net = Net::start().await;
    let requester = Requester::join(&net, 50).await;
    let node = Node::join(&net, 10).await;
    let job = requester.order(&net, &["abc"], 2).await;
    assert!(node.work(&net).await);
    assert!(!node.work(&net).await, "the same payout never gets the replica");
    let before = net.now_seconds();
    net.pass_until("the replay confirms it", || async { (net.job(job).await.state == JobState::Done).then_some(()) })
        .await;
    assert!(net.now_seconds() - before >= 5, "it waited for a second node");
    assert_eq!(net.job(job).await.spent, PRICE);
    net.audit().await;
}

#[tokio::test]
async fn two_nodes_of_one_payout_cannot_confirm_each_other() {
    let net = Net::start().await;
    let requester = Requester::join(&net, 50).await;
    let payout = crate::harness::key(120);
    let (one, two) = (Node::join_for(&net, 10, &payout).await, Node::join_for(&net, 11, &payout).await);
    requester.order(&net, &["abc"], 2).await;
    assert!(one.work(&net).await);
    assert!(two.lease(&net).await.is_none());
}

#[tokio::test]
async fn when_nobody_is_right_the_next_result_is_judged_by_the_truth_that_is_known() {
    let net = Net::start().await;
    let requester = Requester::join(&net, 50).await;
    let liars = [Node::join(&net, 10).await, Node::join(&net, 11).await];
    let job = requester.order(&net, &["abc"], 2).await;
    assert!(liars[0].cheat(&net).await);
    assert!(liars[1].cheat(&net).await);
    net.pass_until("both are rejected", || async { (net.job(job).await.rejected == 2).then_some(()) }).await;
    assert_eq!(net.job(job).await.state, JobState::Running);
    assert!(!liars[0].cheat(&net).await, "they had their turn");

    let honest = Node::join(&net, 12).await;
    assert!(honest.work(&net).await);
    let status = net.job(job).await;
    assert_eq!((status.state, status.validated, status.rejected, status.spent), (JobState::Done, 1, 2, PRICE));
    assert_eq!(net.replay.runs.lock().unwrap().len(), 1, "one replay suffices");
    assert_eq!(receipts(&net, honest.payout).await[0].receipt.shares.len(), 3, "the receipt shows the wrong ones, too");
    net.audit().await;
}

#[tokio::test]
async fn three_faults_keep_a_module_from_a_node_for_a_time() {
    let net = Net::start().await;
    let requester = Requester::join(&net, 50).await;
    let (honest, liar) = (Node::join(&net, 10).await, Node::join(&net, 11).await);
    let job = requester.order(&net, &["a", "b", "c", "d", "e"], 2).await;
    for faults in 1..=3 {
        assert!(liar.cheat(&net).await, "{faults}: the first faults have no consequence");
        assert!(honest.work(&net).await);
        net.pass_until("the replay decides", || async { (net.job(job).await.rejected == faults).then_some(()) }).await;
    }
    assert!(liar.lease(&net).await.is_none(), "its breaker is open");
    assert!(honest.lease(&net).await.is_some());
    net.advance(601);
    assert!(liar.lease(&net).await.is_some(), "its breaker is closed again");
}

#[tokio::test]
async fn a_replay_that_keeps_failing_fails_the_task_and_costs_nothing() {
    let net = Net::start().await;
    *net.replay.failures.lock().unwrap() = 3;
    let requester = Requester::join(&net, 50).await;
    let node = Node::join(&net, 10).await;
    let job = requester.order(&net, &["abc"], 1).await;
    assert!(node.work(&net).await);
    let status = net
        .pass_until("it is given up", || async {
            let status = net.job(job).await;
            (status.state != JobState::Running).then_some(status)
        })
        .await;
    assert_eq!((status.state, status.failed, status.spent), (JobState::Failed, 1, Amount::ZERO));
    let account = net.account(node.payout).await;
    assert_eq!((account.awaiting_verdict, account.accepted, account.rejected), (0, 0, 0), "nobody is at fault");
    net.audit().await;
}

#[tokio::test]
async fn a_wrong_result_from_a_checkpoint_is_nobodys_fault_and_its_job_makes_no_more_of_them() {
    let mut net = Net::start().await;
    let requester = Requester::join(&net, 50).await;
    let (honest, unlucky) = (Node::join(&net, 10).await, Node::join(&net, 11).await);
    let job = requester.order(&net, &["abc", "def"], 2).await;
    let (lease, early) = (unlucky.lease(&net).await.unwrap(), unlucky.lease(&net).await.unwrap());
    assert!(lease.checkpoints && early.checkpoints);
    let wrong = unlucky.claim(&net, &lease, b"went astray").await;
    let resumed = unlucky.sign(&net, ResultBody { resumed: true, ..wrong.result });
    assert!(unlucky.deliver(&net, &resumed).await.unwrap().recorded);
    assert!(honest.work(&net).await);
    net.pass_until("the replay decides", || async { (net.job(job).await.rejected == 1).then_some(()) }).await;
    let account = net.account(unlucky.payout).await;
    assert_eq!((account.rejected, account.credited), (1, Amount::ZERO), "what is wrong is unpaid");
    assert!(net.coordinator().store().recover().await.unwrap().faults.is_empty(), "nobody is at fault");

    let begun = unlucky.compute(&net, &early).await;
    let resumed = unlucky.sign(&net, ResultBody { resumed: true, ..begun.result });
    assert!(unlucky.deliver(&net, &resumed).await.unwrap().recorded, "it was allowed when it began");
    net.restart().await;
    let late = honest.lease(&net).await.unwrap();
    assert!(!late.checkpoints, "the job lost the right to checkpoint");
    let computed = honest.compute(&net, &late).await;
    let again = honest.sign(&net, ResultBody { resumed: true, ..computed.result.clone() });
    assert_eq!(honest.deliver(&net, &again).await.unwrap_err().code, "bad_result");
    assert!(honest.deliver(&net, &computed).await.unwrap().recorded);
    assert_eq!(net.job(job).await.state, JobState::Done);
    net.audit().await;
}
