//! Who gets in, and what happens to bytes that nobody meant.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use reqwest::Method;
use surge_coordinator::error::Code;
use surge_protocol::Digest;
use surge_protocol::api::{ApiError, Registration, ReturnLease};

use crate::actors::{Actor, Node, Requester, body, open_session, registration, request};
use crate::harness::{Net, START, key};

#[tokio::test]
async fn a_session_needs_a_fresh_signature_of_its_own_key() {
    let net = Net::start().await;
    for wrong in [START - 301, START + 301, 0, u64::MAX] {
        assert_eq!(open_session(&net, &key(50), wrong).await.unwrap_err().code, "stale_signature");
    }
    let signature =
        key(50).sign(&surge_protocol::sign::Session { who: key(51).address(), issuedAt: START }, &net.network.domain());
    let stolen = surge_protocol::api::OpenSession { who: key(51).address(), issued_at: START, signature };
    assert_eq!(net.post::<serde_json::Value>("/v1/sessions", None, &stolen).await.unwrap_err().code, "wrong_signature");

    let actor = Actor::open(&net, 50).await;
    assert!(
        !std::fs::read(net.home.path().join("coordinator.sqlite-wal"))
            .unwrap()
            .windows(64)
            .any(|part| part == actor.token.as_bytes())
    );
    let ask = |token: &str| {
        let token = token.to_owned();
        let net = &net;
        async move { net.post::<serde_json::Value>("/v1/leases", Some(&token), &request(0)).await.unwrap_err().code }
    };
    assert_eq!(ask(&actor.token).await, "not_registered");
    assert_eq!(ask("").await, "session_unknown");
    assert_eq!(ask(&"0".repeat(64)).await, "session_unknown");
    net.advance(86_400);
    assert_eq!(ask(&actor.token).await, "session_unknown", "a day is over");
}

#[tokio::test]
async fn a_payout_binds_itself_and_an_old_binding_does_not_come_back() {
    let net = Net::start().await;
    let node = Node::join(&net, 10).await;
    let register = |payout: u8, issued_at: u64, signer: u8| {
        let mut body = registration(&net, &node.actor.key, &key(payout), issued_at);
        body.signature = registration(&net, &node.actor.key, &key(signer), issued_at).signature;
        let (net, token) = (&net, node.actor.token.clone());
        async move { net.post::<serde_json::Value>("/v1/nodes", Some(&token), &body).await }
    };
    assert_eq!(register(120, START, 121).await.unwrap_err().code, "wrong_signature");
    assert_eq!(register(120, START + 3_600, 120).await.unwrap_err().code, "stale_signature");
    assert_eq!(register(120, START - 1, 120).await.unwrap_err().code, "stale_binding");
    register(110, START, 110).await.expect("the same binding again");
    register(120, START + 1, 120).await.expect("a newer binding");
    assert_eq!(register(110, START, 110).await.unwrap_err().code, "stale_binding");
}

#[tokio::test]
async fn whoever_stole_a_session_cannot_change_who_is_paid() {
    let net = Net::start().await;
    let node = Node::join(&net, 10).await;
    let thief = key(66);
    let right = registration(&net, &node.actor.key, &thief, START + 1);
    // The thief has the token and a payout, and not the device's key.
    let other = registration(&net, &thief, &thief, START + 1);
    for device_signature in [right.signature, other.device_signature] {
        let body = Registration { device_signature, ..right.clone() };
        let refusal = net.post::<serde_json::Value>("/v1/nodes", Some(&node.actor.token), &body).await.unwrap_err();
        assert_eq!(refusal.code, "wrong_signature");
    }
}

#[tokio::test]
async fn a_result_must_be_its_nodes_own_and_follow_from_its_output() {
    let net = Net::start().await;
    let requester = Requester::join(&net, 50).await;
    let (node, other) = (Node::join(&net, 10).await, Node::join(&net, 11).await);
    requester.order(&net, &["abc"], 2).await;
    let lease = node.lease(&net).await.unwrap();
    let good = node.compute(&net, &lease).await;

    let mut forged = good.clone();
    forged.result.cpu_ms += 1;
    assert_eq!(node.deliver(&net, &forged).await.unwrap_err().code, "wrong_signature");
    assert_eq!(other.deliver(&net, &good).await.unwrap_err().code, "wrong_signature");
    let taken = other.sign(&net, good.result.clone());
    assert_eq!(other.deliver(&net, &taken).await.unwrap_err().code, "not_yours");
    let result = good.result.clone();
    let sign = |result| node.sign(&net, result);
    for (result, code) in [
        (surge_protocol::epoch::ResultBody { lease: Digest([9; 32]), ..result.clone() }, "unknown_lease"),
        (surge_protocol::epoch::ResultBody { task: Digest([9; 32]), ..result.clone() }, "bad_result"),
        (surge_protocol::epoch::ResultBody { code: surge_protocol::Code::Status(1), ..result.clone() }, "bad_result"),
        (
            surge_protocol::epoch::ResultBody { code: surge_protocol::Code::word("fuel"), ..result.clone() },
            "bad_result",
        ),
        (surge_protocol::epoch::ResultBody { outcome: surge_protocol::Outcome::Exit, ..result.clone() }, "bad_result"),
        (surge_protocol::epoch::ResultBody { runtime_class: "x".into(), ..result.clone() }, "bad_result"),
        (surge_protocol::epoch::ResultBody { output: Digest([9; 32]), ..result.clone() }, "missing_blob"),
        (surge_protocol::epoch::ResultBody { digest: Digest([9; 32]), ..result.clone() }, "wrong_digest"),
    ] {
        assert_eq!(node.deliver(&net, &sign(result)).await.unwrap_err().code, code);
    }
    assert!(node.deliver(&net, &good).await.unwrap().recorded);
    assert!(node.deliver(&net, &good).await.unwrap().recorded, "saying it twice is once");
    let second = node.claim(&net, &lease, b"another").await;
    assert_eq!(node.deliver(&net, &second).await.unwrap_err().code, "result_conflict");
    assert_eq!(net.account(node.payout).await.awaiting_verdict, 1);
}

/// Receipts hold the code of every result, also of a wrong one.
#[tokio::test]
async fn nobody_chooses_how_long_a_code_is() {
    let net = Net::start().await;
    let requester = Requester::join(&net, 50).await;
    let node = Node::join(&net, 10).await;
    requester.order(&net, &["abc"], 2).await;
    let lease = node.lease(&net).await.unwrap();
    let long = surge_protocol::Code::Word("a".repeat(41));
    let digest = surge_protocol::outcome::result_digest(surge_protocol::Outcome::Trap, &long, b"");
    let output = node.actor.upload(&net, b"").await.digest;
    let signed = node.sign(&net, body(&lease, surge_protocol::Outcome::Trap, long.clone(), digest, output));
    assert_eq!(node.deliver(&net, &signed).await.unwrap_err().code, "bad_request");
    let back = ReturnLease { outcome: Some(surge_protocol::Outcome::Host), code: Some(long) };
    let path = format!("/v1/leases/{}/return", lease.lease);
    let refusal = net.post::<serde_json::Value>(&path, Some(&node.actor.token), &back).await.unwrap_err();
    assert_eq!(refusal.code, "bad_request");
    let done =
        ReturnLease { outcome: Some(surge_protocol::Outcome::Done), code: Some(surge_protocol::Code::Status(0)) };
    let refusal = net.post::<serde_json::Value>(&path, Some(&node.actor.token), &done).await.unwrap_err();
    assert_eq!(refusal.code, "bad_request", "what is done is delivered");
}

#[tokio::test]
async fn an_output_above_its_limit_is_refused() {
    let net = Net::start().await;
    let requester = Requester::join(&net, 50).await;
    let node = Node::join(&net, 10).await;
    let draft = requester.draft(&net, &["abc"], 2).await;
    let limits = surge_protocol::task::Limits { output_bytes: 3, ..draft.limits };
    let order = requester.sign(&net, surge_protocol::api::SubmitJob { limits, ..draft });
    requester.submit(&net, &order).await.unwrap();
    let lease = node.lease(&net).await.unwrap();
    let long = node.claim(&net, &lease, b"four").await;
    assert_eq!(node.deliver(&net, &long).await.unwrap_err().code, "bad_result");
    let other =
        body(&lease, surge_protocol::Outcome::Done, surge_protocol::Code::Status(0), Digest([1; 32]), Digest([1; 32]));
    assert_eq!(node.deliver(&net, &node.sign(&net, other)).await.unwrap_err().code, "missing_blob");
}

#[tokio::test]
async fn what_is_not_there_is_said_in_the_same_words_as_everything() {
    let net = Net::start().await;
    let refusal = net.get::<serde_json::Value>("/v2/anything").await.unwrap_err();
    assert_eq!((refusal.status.as_u16(), refusal.code.as_str()), (404, "no_such_route"));
    let reply = net.http.delete(net.url("/v1/jobs")).send().await.unwrap();
    assert_eq!(reply.json::<ApiError>().await.unwrap().code, "method_not_allowed");
    for epoch in ["1", "18446744073709551615"] {
        let path = format!("/v1/epochs/{epoch}");
        assert_eq!(net.get::<serde_json::Value>(&path).await.unwrap_err().code, "unknown_epoch");
    }
    let long = format!("\"{}\"", "x".repeat(100_000));
    let reply = net.http.post(net.url("/v1/sessions")).body(long).send().await.unwrap();
    assert_eq!(reply.json::<ApiError>().await.unwrap().code, "too_large");
    let network: surge_protocol::network::SignedNetwork = net.get("/v1/network").await.unwrap();
    assert_eq!(network.verified().unwrap(), net.network);
}

/// Bodies between noise and almost right.
fn any_body() -> impl Strategy<Value = Vec<u8>> {
    let field = prop_oneof![
        Just("null".to_owned()),
        Just("[]".to_owned()),
        Just("-1".to_owned()),
        Just("1e400".to_owned()),
        Just("99999999999999999999999999".to_owned()),
        Just(format!("\"{}\"", "f".repeat(64))),
        Just(format!("\"0x{}\"", "f".repeat(130))),
        Just("[".repeat(500)),
        "\"\\PC{0,12}\"",
    ];
    let names =
        ["who", "issued_at", "signature", "payout", "state", "outcome", "code", "result", "inputs", "price", "held"];
    let object = prop::collection::vec((prop::sample::select(names.to_vec()), field), 0..6).prop_map(|fields| {
        let fields: Vec<_> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", fields.join(",")).into_bytes()
    });
    prop_oneof![prop::collection::vec(any::<u8>(), 0..200), object]
}

#[tokio::test(flavor = "multi_thread")]
async fn no_bytes_from_outside_do_more_than_earn_an_error() {
    let net = Net::start().await;
    let node = Node::join(&net, 10).await;
    let id = Digest([7; 32]);
    let routes: Vec<(Method, String)> = [
        (Method::POST, "/v1/sessions".to_owned()),
        (Method::POST, "/v1/nodes".to_owned()),
        (Method::POST, "/v1/leases".to_owned()),
        (Method::POST, format!("/v1/leases/{id}/heartbeat")),
        (Method::POST, format!("/v1/leases/{id}/return")),
        (Method::POST, format!("/v1/leases/{id}/result")),
        (Method::PUT, format!("/v1/blobs/{id}")),
        (Method::POST, "/v1/jobs".to_owned()),
        (Method::GET, "/v1/jobs/zz".to_owned()),
        (Method::GET, "/v1/accounts/0x12".to_owned()),
        (Method::GET, "/v1/epochs/-1".to_owned()),
        (Method::GET, "/v1/blobs/%ff%fe".to_owned()),
    ]
    .into();
    let handle = tokio::runtime::Handle::current();
    let mut runner = TestRunner::new(Config::with_cases(200));
    let strategy = (prop::sample::select(routes), any_body());
    let run = || {
        runner.run(&strategy, |((method, path), body)| {
            let sent = net.http.request(method, net.url(&path)).bearer_auth(&node.actor.token).body(body).send();
            let (status, bytes) = handle.block_on(async {
                let reply = sent.await.unwrap();
                (reply.status(), reply.bytes().await.unwrap())
            });
            prop_assert!(status.is_client_error(), "{} {}", path, status);
            let error: ApiError = serde_json::from_slice(&bytes).unwrap();
            prop_assert!(
                Code::ALL.iter().any(|code| code.word() == error.code && code.status().as_u16() == status.as_u16())
            );
            Ok(())
        })
    };
    tokio::task::block_in_place(run).unwrap();
}
