//! Leases whose grant their node may not have heard of: given back by the id of their request, or asked for again.

use surge_protocol::api::{Lease, LeaseReply, LeaseRequest, LeaseState, lease_id};

use crate::actors::{Node, Requester, request};
use crate::harness::{Answer, Net};

fn lease(reply: Answer<LeaseReply>) -> Option<Lease> {
    match reply.unwrap() {
        LeaseReply::Lease(lease) => Some(*lease),
        LeaseReply::Nothing { .. } => None,
    }
}

#[tokio::test]
async fn a_lease_that_its_node_never_heard_of_is_given_back_by_its_request() {
    let net = Net::start().await;
    let requester = Requester::join(&net, 50).await;
    let (node, other) = (Node::join(&net, 10).await, Node::join(&net, 11).await);
    requester.order(&net, &["abc"], 1).await;
    let unheard = request(0);
    let given = lease(node.ask(&net, &unheard).await).unwrap();
    assert_eq!(given.lease, lease_id(node.address(), unheard.request));
    node.decline(&net, &unheard).await;
    assert_eq!(other.lease(&net).await.unwrap().task, given.task);
}

#[tokio::test]
async fn a_request_that_was_given_back_before_its_grant_gets_nothing() {
    let net = Net::start().await;
    let requester = Requester::join(&net, 50).await;
    let (node, other) = (Node::join(&net, 10).await, Node::join(&net, 11).await);
    let open = request(30);
    let (reply, task) = tokio::join!(node.ask(&net, &open), async {
        // Until it is open at the coordinator.
        while net.status().await.nodes == 0 {}
        node.decline(&net, &open).await;
        requester.order(&net, &["abc"], 1).await;
        let task = other.lease(&net).await;
        net.advance(31);
        task
    });
    assert!(lease(reply).is_none() && task.is_some());

    // A minute later nobody remembers, and no request is so old.
    other.give_back(&net, &task.unwrap(), None).await;
    assert!(lease(node.ask(&net, &open).await).is_none());
    net.advance(60);
    assert!(lease(node.ask(&net, &LeaseRequest { wait_seconds: 0, ..open }).await).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_and_its_return_that_cross_leave_no_lease() {
    let net = Net::start().await;
    let requester = Requester::join(&net, 50).await;
    let (node, other) = (Node::join(&net, 10).await, Node::join(&net, 11).await);
    requester.order(&net, &["abc"], 1).await;
    for round in 0..50 {
        let crossing = request(0);
        let (reply, ()) = tokio::join!(node.ask(&net, &crossing), node.decline(&net, &crossing));
        reply.unwrap();
        let free = other.lease(&net).await;
        assert!(free.is_some(), "the task is with nobody, round {round}");
        other.give_back(&net, &free.unwrap(), None).await;
    }
}

#[tokio::test]
async fn a_repeated_request_gets_the_lease_that_it_got() {
    let mut net = Net::start().await;
    let requester = Requester::join(&net, 50).await;
    let node = Node::join(&net, 10).await;
    requester.order(&net, &["abc", "def"], 1).await;
    let asked = request(0);
    let first = lease(node.ask(&net, &asked).await).unwrap();
    net.advance(10);
    let again = lease(node.ask(&net, &asked).await).unwrap();
    assert_eq!((again.lease, again.task, again.expires_in_seconds), (first.lease, first.task, 50));
    net.restart().await;
    let node = Node::join(&net, 10).await;
    let again = lease(node.ask(&net, &asked).await).unwrap();
    assert_eq!((again.lease, again.task), (first.lease, first.task));
    assert_eq!(net.status().await.tasks_running, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_repeated_while_it_is_open_gets_one_lease() {
    let net = Net::start().await;
    let requester = Requester::join(&net, 50).await;
    let node = Node::join(&net, 10).await;
    for round in 0..20 {
        let open = request(30);
        let draft = requester.draft(&net, &["abc", "def"], 1).await;
        let order = requester.sign(&net, surge_protocol::api::SubmitJob { nonce: round, ..draft });
        let (one, two, three, job) = tokio::join!(
            node.ask(&net, &open),
            node.ask(&net, &open),
            node.ask(&net, &open),
            requester.submit(&net, &order)
        );
        job.unwrap();
        let leases = [one, two, three].map(|reply| lease(reply).unwrap());
        assert!(leases.iter().all(|lease| lease.task == leases[0].task && lease.lease == leases[0].lease));
        assert_eq!(net.status().await.tasks_running, 1);
        assert!(node.work(&net).await);
        let signed = node.compute(&net, &leases[0]).await;
        assert!(node.deliver(&net, &signed).await.unwrap().recorded);
    }
}

#[tokio::test]
async fn a_request_gets_nothing_when_its_lease_is_over() {
    let net = Net::start().await;
    let requester = Requester::join(&net, 50).await;
    let (node, other) = (Node::join(&net, 10).await, Node::join(&net, 11).await);
    requester.order(&net, &["abc", "def", "ghi"], 1).await;
    let [returned, delivered, expired] = [request(0), request(0), request(0)];
    let given = lease(node.ask(&net, &returned).await).unwrap();
    node.give_back(&net, &given, None).await;
    let given = lease(node.ask(&net, &delivered).await).unwrap();
    let signed = node.compute(&net, &given).await;
    assert!(node.deliver(&net, &signed).await.unwrap().recorded);
    let given = lease(node.ask(&net, &expired).await).unwrap();
    net.pass_until("it expires", || async { (net.status().await.tasks_running == 0).then_some(()) }).await;
    net.advance(120);
    for over in [returned, delivered, expired] {
        // It does not wait either: nothing will ever come of it.
        let over = LeaseRequest { wait_seconds: 30, ..over };
        assert!(lease(node.ask(&net, &over).await).is_none());
    }
    assert!(!node.beat(&net, &given, LeaseState::Running).await.stop, "an expired lease goes on as ever");
    assert!(other.lease(&net).await.is_some(), "the tasks are free");
}

#[tokio::test]
async fn a_request_id_is_of_one_node() {
    let net = Net::start().await;
    let requester = Requester::join(&net, 50).await;
    let (node, other) = (Node::join(&net, 10).await, Node::join(&net, 11).await);
    requester.order(&net, &["abc", "def"], 1).await;
    let same = request(0);
    other.decline(&net, &same).await;
    let given = lease(node.ask(&net, &same).await).unwrap();
    assert!(lease(other.ask(&net, &same).await).is_none(), "it gave its own back");
    net.advance(60);
    let theirs = lease(other.ask(&net, &same).await);
    assert!(theirs.is_some_and(|theirs| theirs.lease != given.lease && theirs.task != given.task));
    other.decline(&net, &same).await;
    assert!(!node.beat(&net, &given, LeaseState::Running).await.stop, "no other node can give it back");
}
