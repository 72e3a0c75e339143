//! Leases: waiting, extending, expiring, giving back, failing.

use surge_protocol::api::{JobState, LeaseReply, LeaseState, SubmitJob};
use surge_protocol::split::split;
use surge_protocol::task::Limits;
use surge_protocol::{Amount, Code, Digest, Outcome};

use crate::actors::{Node, PRICE, Requester, body, request};
use crate::harness::Net;

#[tokio::test]
async fn a_waiting_node_is_answered_when_a_job_arrives() {
    let net = Net::start().await;
    let requester = Requester::join(&net, 50).await;
    let node = Node::join(&net, 10).await;
    let wait = request(30);
    let (reply, job) = tokio::join!(node.ask(&net, &wait), requester.order(&net, &["abc"], 1));
    let Ok(LeaseReply::Lease(lease)) = reply else { panic!("{reply:?}") };
    assert_eq!((lease.job, lease.index, lease.job_name.as_str()), (job, 0, "reverse"));
    assert_eq!(lease.net, split(PRICE, 500).net);
    assert_eq!(lease.expires_in_seconds, 60);
}

#[tokio::test]
async fn waiting_ends_with_nothing_when_there_is_nothing() {
    let net = Net::start().await;
    let node = Node::join(&net, 10).await;
    let wait = request(30);
    let (reply, ()) = tokio::join!(node.ask(&net, &wait), async {
        while net.status().await.nodes == 0 {}
        net.advance(31);
    });
    assert!(matches!(reply, Ok(LeaseReply::Nothing { .. })), "{reply:?}");
}

#[tokio::test]
async fn an_expired_lease_is_given_to_another_and_its_late_result_still_counts() {
    let net = Net::start().await;
    let requester = Requester::join(&net, 50).await;
    let (slow, quick) = (Node::join(&net, 10).await, Node::join(&net, 11).await);
    let job = requester.order(&net, &["abc"], 1).await;
    let lease = slow.lease(&net).await.unwrap();
    assert!(quick.lease(&net).await.is_none(), "one execution is ordered");
    let taken = net.pass_until("the lease expires", || quick.lease(&net)).await;
    assert_eq!(taken.task, lease.task);
    assert!(slow.beat(&net, &lease, LeaseState::Running).await.stop, "somebody else computes it now");
    assert!(!slow.beat(&net, &lease, LeaseState::Delivering).await.stop, "a finished result is welcome");

    let late = slow.compute(&net, &lease).await;
    assert!(slow.deliver(&net, &late).await.unwrap().recorded);
    let status = net
        .pass_until("a replay confirms the late result", || async {
            let status = net.job(job).await;
            (status.state == JobState::Done).then_some(status)
        })
        .await;
    assert_eq!(status.spent, PRICE);
    assert_eq!(net.account(slow.payout).await.accepted, 1);
    let spare = quick.compute(&net, &taken).await;
    assert_eq!(quick.deliver(&net, &spare).await.unwrap_err().code, "task_decided");
    net.audit().await;
}

#[tokio::test]
async fn heartbeats_keep_a_lease_and_a_node_that_comes_back_goes_on() {
    let net = Net::start().await;
    let requester = Requester::join(&net, 50).await;
    let (node, other) = (Node::join(&net, 10).await, Node::join(&net, 11).await);
    requester.order(&net, &["abc"], 1).await;
    let lease = node.lease(&net).await.unwrap();
    for _ in 0..5 {
        net.advance(50);
        let reply = node.beat(&net, &lease, LeaseState::Running).await;
        assert_eq!((reply.stop, reply.expires_in_seconds), (false, 60));
        assert!(other.lease(&net).await.is_none());
    }
    net.pass_until("it expires", || async { (net.status().await.tasks_running == 0).then_some(()) }).await;
    assert!(!node.beat(&net, &lease, LeaseState::Running).await.stop, "nobody took its place");
    assert!(other.lease(&net).await.is_none());
}

#[tokio::test]
async fn a_task_that_is_paused_for_too_long_goes_to_somebody_else() {
    let net = Net::start().await;
    let requester = Requester::join(&net, 50).await;
    let (node, other) = (Node::join(&net, 10).await, Node::join(&net, 11).await);
    let job = requester.order(&net, &["abc"], 1).await;
    let lease = node.lease(&net).await.unwrap();
    let mut paused = 0;
    while !node.beat(&net, &lease, LeaseState::Paused).await.stop {
        assert!(paused <= 900, "still kept after {paused} s");
        net.advance(30);
        paused += 30;
    }
    assert!(paused >= 900, "given up after {paused} s already");
    let taken = net.pass_until("another gets it", || other.lease(&net)).await;
    assert_eq!(taken.job, job);
}

#[tokio::test]
async fn a_task_with_slack_stays_with_a_node_that_is_paused_for_long() {
    let net = Net::start().await;
    let requester = Requester::join(&net, 50).await;
    let node = Node::join(&net, 10).await;
    let draft = requester.draft(&net, &["abc"], 1).await;
    // Ten minutes of CPU time at most, three hours to the deadline.
    let order = requester.sign(&net, SubmitJob { deadline: net.now_seconds() + 3 * 3_600, ..draft });
    requester.submit(&net, &order).await.unwrap();
    let lease = node.lease(&net).await.unwrap();
    assert_eq!(lease.deadline_in_seconds, 3 * 3_600);
    let mut paused = 0;
    while !node.beat(&net, &lease, LeaseState::Paused).await.stop {
        net.advance(30);
        paused += 30;
        assert!(paused < 3 * 3_600, "beyond its deadline");
    }
    // The slack ends 6 000 s before the deadline, and a quarter of an hour later the patience does.
    assert!((5_700..=5_760).contains(&paused), "given up after {paused} s");
}

#[tokio::test]
async fn what_is_given_back_is_given_out_again() {
    let net = Net::start().await;
    let requester = Requester::join(&net, 50).await;
    let (node, other) = (Node::join(&net, 10).await, Node::join(&net, 11).await);
    requester.order(&net, &["abc"], 1).await;
    let lease = node.lease(&net).await.unwrap();
    node.give_back(&net, &lease, None).await;
    node.give_back(&net, &lease, None).await;
    assert!(node.beat(&net, &lease, LeaseState::Running).await.stop);
    assert_eq!(other.lease(&net).await.unwrap().task, lease.task);
}

#[tokio::test]
async fn a_task_that_fails_on_three_nodes_is_over_and_refunded() {
    let net = Net::start().await;
    let requester = Requester::join(&net, 50).await;
    let job = requester.order(&net, &["abc"], 1).await;
    for n in 10..13 {
        assert_eq!(net.job(job).await.state, JobState::Running);
        let node = Node::join(&net, n).await;
        let lease = node.lease(&net).await.unwrap();
        if n == 10 {
            // The other way to say it: a signed result whose ending does not vote.
            let nothing = node.actor.upload(&net, b"").await.digest;
            let digest = surge_protocol::outcome::result_digest(Outcome::Limit, &Code::word("cpu"), b"");
            let signed = node.sign(&net, body(&lease, Outcome::Limit, Code::word("cpu"), digest, nothing));
            assert!(node.deliver(&net, &signed).await.unwrap().recorded);
            assert!(node.deliver(&net, &signed).await.unwrap().recorded, "saying it twice is once");
        } else {
            node.give_back(&net, &lease, Some(Outcome::Host)).await;
        }
    }
    let status = net.job(job).await;
    assert_eq!((status.state, status.failed, status.spent), (JobState::Failed, 1, Amount::ZERO));
    assert_eq!(net.account(requester.address()).await.reserved, Amount::ZERO);
    net.audit().await;
}

#[tokio::test]
async fn a_node_that_fails_at_everything_stops_getting_the_module() {
    let net = Net::start().await;
    let requester = Requester::join(&net, 50).await;
    let (broken, sound) = (Node::join(&net, 10).await, Node::join(&net, 11).await);
    requester.order(&net, &["a", "b", "c", "d", "e"], 1).await;
    for _ in 0..3 {
        let lease = broken.lease(&net).await.unwrap();
        broken.give_back(&net, &lease, Some(Outcome::Host)).await;
    }
    assert!(broken.lease(&net).await.is_none());
    assert!(sound.lease(&net).await.is_some());
}

#[tokio::test]
async fn a_task_goes_only_where_it_fits() {
    let net = Net::start().await;
    let requester = Requester::join(&net, 50).await;
    let node = Node::join(&net, 10).await;
    let draft = requester.draft(&net, &["abc"], 1).await;
    let limits = Limits { memory_bytes: 2 << 30, ..Limits::default() };
    let order = requester.sign(&net, surge_protocol::api::SubmitJob { limits, ..draft });
    requester.submit(&net, &order).await.unwrap();
    let small = surge_protocol::api::LeaseRequest { free_memory_bytes: 1 << 30, ..request(0) };
    assert!(matches!(node.ask(&net, &small).await, Ok(LeaseReply::Nothing { .. })));
    let busy = surge_protocol::api::LeaseRequest { load_percent: 99.0, ..request(0) };
    assert!(matches!(node.ask(&net, &busy).await, Ok(LeaseReply::Nothing { .. })));
    let foreign = surge_protocol::api::LeaseRequest { runtime_class: "other-9/arm".into(), ..request(0) };
    assert_eq!(node.ask(&net, &foreign).await.unwrap_err().code, "wrong_runtime_class");
    assert!(node.lease(&net).await.is_some());
}

#[tokio::test]
async fn a_node_that_holds_the_data_gets_its_tasks_first() {
    let net = Net::start().await;
    let requester = Requester::join(&net, 50).await;
    let node = Node::join(&net, 10).await;
    let (plain, shared) = (requester.draft(&net, &["a"], 1).await, requester.draft(&net, &["b"], 1).await);
    let mut ids = Vec::new();
    for (nonce, order) in [(1, surge_protocol::api::SubmitJob { data: Vec::new(), ..plain }), (2, shared)] {
        let deadline = order.deadline + nonce;
        let order = requester.sign(&net, surge_protocol::api::SubmitJob { nonce, deadline, ..order });
        ids.push(requester.submit(&net, &order).await.unwrap());
    }
    let module = Digest::of(crate::actors::WASM);
    let holder = surge_protocol::api::LeaseRequest { held: vec![Digest::of(b"shared data")], ..request(0) };
    let both = surge_protocol::api::LeaseRequest { held: vec![module, Digest::of(b"shared data")], ..request(0) };
    let job = |reply| match reply {
        Ok(LeaseReply::Lease(lease)) => (*lease).clone(),
        other => panic!("{other:?}"),
    };
    let first = job(node.ask(&net, &holder).await);
    assert_eq!(first.job, ids[0], "without the module it holds neither, and the earlier deadline decides");
    node.give_back(&net, &first, None).await;
    let no_module = surge_protocol::api::LeaseRequest { held: vec![module], ..request(0) };
    let second = job(node.ask(&net, &no_module).await);
    assert_eq!(second.job, ids[0]);
    node.give_back(&net, &second, None).await;
    net.advance(0);
    let third = job(node.ask(&net, &both).await);
    assert_eq!(third.job, ids[0], "it holds the blobs of both");
}

#[tokio::test]
async fn after_the_deadline_what_was_delivered_is_judged_and_the_rest_fails() {
    let net = Net::start().await;
    let requester = Requester::join(&net, 50).await;
    let (node, late) = (Node::join(&net, 10).await, Node::join(&net, 11).await);
    let draft = requester.draft(&net, &["a", "b"], 2).await;
    let order = requester.sign(&net, surge_protocol::api::SubmitJob { deadline: net.now_seconds() + 20, ..draft });
    let job = requester.submit(&net, &order).await.unwrap();
    assert!(node.work(&net).await);
    let lease = late.lease(&net).await.unwrap();
    let signed = late.compute(&net, &lease).await;
    net.advance(20);
    let refusal = late.deliver(&net, &signed).await.unwrap_err().code;
    assert!(["deadline_passed", "task_decided"].contains(&refusal.as_str()), "{refusal}");
    assert!(node.lease(&net).await.is_none());
    let status = net
        .pass_until("the job ends", || async {
            let status = net.job(job).await;
            (status.state != JobState::Running).then_some(status)
        })
        .await;
    assert_eq!((status.state, status.validated, status.failed, status.spent), (JobState::Failed, 1, 1, PRICE));
    assert_eq!(net.account(node.payout).await.accepted, 1);
    net.audit().await;
}

#[tokio::test]
async fn a_result_that_comes_after_its_failure_was_told_counts() {
    let net = Net::start().await;
    let requester = Requester::join(&net, 50).await;
    let (hasty, other) = (Node::join(&net, 10).await, Node::join(&net, 11).await);
    let job = requester.order(&net, &["abc"], 2).await;
    let lease = hasty.lease(&net).await.unwrap();
    let signed = hasty.compute(&net, &lease).await;
    hasty.give_back(&net, &lease, Some(Outcome::Host)).await;
    assert!(hasty.deliver(&net, &signed).await.unwrap().recorded);
    assert_eq!(net.account(hasty.payout).await.awaiting_verdict, 1, "what is acknowledged is kept");
    assert!(other.work(&net).await);
    let status = net.job(job).await;
    assert_eq!((status.state, status.validated, status.spent), (JobState::Done, 1, PRICE.checked_mul(2).unwrap()));
    net.audit().await;
}
