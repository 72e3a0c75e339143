//! The same folder, another process: nothing that was acknowledged is lost, nothing is paid twice.

use surge_protocol::api::{JobState, LeaseState};

use crate::actors::{Node, PRICE, Requester};
use crate::harness::Net;

#[tokio::test]
async fn work_goes_on_where_it_was() {
    let mut net = Net::start().await;
    let requester = Requester::join(&net, 50).await;
    let (one, two) = (Node::join(&net, 10).await, Node::join(&net, 11).await);
    let job = requester.order(&net, &["a", "b", "c"], 2).await;
    assert!(one.work(&net).await);
    let (running, waiting) = (one.lease(&net).await.unwrap(), two.lease(&net).await.unwrap());
    let finished = two.compute(&net, &waiting).await;
    let before = net.audit().await;
    net.restart().await;

    assert_eq!(net.audit().await, before);
    let status = net.job(job).await;
    assert_eq!((status.state, status.running, status.validated), (JobState::Running, 2, 0));
    assert!(!one.beat(&net, &running, LeaseState::Running).await.stop, "its lease runs on, its session too");
    assert!(two.deliver(&net, &finished).await.unwrap().recorded);
    let computed = one.compute(&net, &running).await;
    assert!(one.deliver(&net, &computed).await.unwrap().recorded);
    while one.work(&net).await || two.work(&net).await {}
    let status = net.job(job).await;
    assert_eq!((status.state, status.validated, status.spent), (JobState::Done, 3, PRICE.checked_mul(6).unwrap()));

    net.restart().await;
    assert!(two.deliver(&net, &finished).await.unwrap().recorded, "saying it again after all that is fine");
    assert_eq!(net.account(two.payout).await.accepted, 3);
    assert_eq!(net.job(job).await.state, JobState::Done);
    net.audit().await;
}

#[tokio::test]
async fn a_replay_that_was_due_happens_after_the_restart() {
    let mut net = Net::start().await;
    *net.replay.failures.lock().unwrap() = 1;
    let requester = Requester::join(&net, 50).await;
    let (honest, liar) = (Node::join(&net, 10).await, Node::join(&net, 11).await);
    let job = requester.order(&net, &["a"], 2).await;
    assert!(liar.cheat(&net).await && honest.work(&net).await);
    net.restart().await;
    net.pass_until("the replay decides", || async { (net.job(job).await.state == JobState::Done).then_some(()) }).await;
    assert_eq!(net.account(liar.payout).await.rejected, 1);
    net.restart().await;
    assert!(!liar.work(&net).await);
    assert_eq!((net.job(job).await.rejected, net.job(job).await.spent), (1, PRICE));
    net.audit().await;
}

#[tokio::test]
async fn a_truth_that_nobody_had_is_still_known() {
    let mut net = Net::start().await;
    let requester = Requester::join(&net, 50).await;
    let liar = Node::join(&net, 10).await;
    let job = requester.order(&net, &["a"], 1).await;
    assert!(liar.cheat(&net).await);
    net.pass_until("it is rejected", || async { (net.job(job).await.rejected == 1).then_some(()) }).await;
    net.restart().await;
    let honest = Node::join(&net, 11).await;
    assert!(!liar.work(&net).await, "it had its turn");
    assert!(honest.work(&net).await);
    assert_eq!(net.job(job).await.state, JobState::Done);
    assert_eq!(net.replay.runs.lock().unwrap().len(), 1);
}
