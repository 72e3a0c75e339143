use std::io::{Read, Write};
use std::net::TcpListener;

use reqwest::StatusCode;
use surge_protocol::api::ApiError;

use super::error::answer_of;
use super::*;

const FUTURE: &str = "Fri, 01 Jan 2100 00:00:00 GMT";

/// A coordinator in the year 2100 that takes signatures of its own time only, and is then in trouble for a while.
/// Returns its address; what it was sent comes over the channel.
fn coordinator() -> (String, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (sender, received) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut bytes = Vec::new();
            let mut piece = [0; 4096];
            // A JSON body ends with its last brace.
            while !(bytes.ends_with(b"}") || bytes.starts_with(b"GET") && bytes.ends_with(b"\r\n\r\n")) {
                let read = stream.read(&mut piece).unwrap();
                bytes.extend_from_slice(&piece[..read]);
            }
            let request = String::from_utf8(bytes).unwrap();
            let (status, more, body) = if request.starts_with("POST /v1/sessions") {
                let issued = request.split("\"issued_at\":").nth(1).unwrap().split(',').next().unwrap();
                match issued.parse::<u64>().unwrap().abs_diff(4_102_444_800) {
                    0..300 => ("200 OK", "", r#"{"token":"t","expires_in_seconds":9}"#),
                    _ => ("401 Unauthorized", "", r#"{"code":"stale_signature","message":"check the clock"}"#),
                }
            } else if request.starts_with("POST /v1/nodes") {
                ("200 OK", "", "{}")
            } else {
                ("503 Service Unavailable", "retry-after: 77\r\n", r#"{"code":"busy","message":"later"}"#)
            };
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\ndate: {FUTURE}\r\n{more}connection: close\r\ncontent-length: {length}\r\n\r\n{body}"
            );
            stream.write_all(answer.as_bytes()).unwrap();
            if sender.send(request).is_err() {
                return;
            }
        }
    });
    (address, received)
}

fn link(coordinators: Vec<String>) -> Link {
    let device = Key::from_bytes(&[5; 32]).unwrap();
    let network = Network {
        name: "test".into(),
        coordinators,
        chain_id: 1,
        rpc: Vec::new(),
        token: Address::ZERO,
        settlement: Address::ZERO,
        treasury: Address::ZERO,
        fee_bps: 0,
        coordinator_key: Address::ZERO,
    };
    let payout = Payout { payout: Address::ZERO, issued_at: 1, signature: surge_protocol::sign::Signed([1; 65]) };
    let introduction = Introduction { payout, cores: 1, memory_bytes: 1, engine: "test".into() };
    Link::new(Client::new(), network, device, introduction)
}

#[tokio::test]
async fn the_next_coordinator_is_asked_when_one_is_silent() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (address, requests) = coordinator();
    let link = link(vec![format!("http://{silent}/"), address]);
    let lease = Digest([1; 32]);
    let error = link.heartbeat(lease, LeaseState::Running).await.unwrap_err();
    assert!(matches!(error, LinkError::Unreachable(_)), "{error}");
    let error = link.heartbeat(lease, LeaseState::Running).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(77)), "{error}");
    assert!(requests.try_iter().any(|request| request.starts_with("POST /v1/nodes")), "it has a session there");
    let error = link.heartbeat(lease, LeaseState::Running).await.unwrap_err();
    assert!(error.retry_after().is_some(), "and is stayed with: {error}");
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_its_end() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let sent = std::thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        let _ = stream.read(&mut [0; 4096]).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").unwrap();
        let piece = [b'['; 64 << 10];
        // Until the other side has had enough.
        (0..u64::MAX).take_while(|_| stream.write_all(&piece).is_ok()).count() * piece.len()
    });
    let error = link(vec![address]).account(Address::ZERO).await.unwrap_err();
    assert!(error.to_string().contains("more than 4194304 bytes"), "{error}");
    // The connection ends on this thread, which must not wait for that.
    let sent = tokio::task::spawn_blocking(move || sent.join().unwrap()).await.unwrap();
    assert!(sent < 64 << 20, "{sent}: and what the system's buffers hold");
}

#[tokio::test]
async fn the_coordinators_clock_counts_and_its_delay_is_heard() {
    let (address, requests) = coordinator();
    let link = link(vec![address]);
    assert_eq!(link.clock_offset(), 0);
    let error = link.heartbeat(Digest([1; 32]), LeaseState::Running).await.unwrap_err();
    assert!(error.passing() && error.retry_after() == Some(Duration::from_secs(77)), "{error}");
    let off = 4_102_444_800 - i64::try_from(crate::clock::unix_now()).unwrap();
    assert!(link.clock_offset().abs_diff(off) <= 5, "{}", link.clock_offset());
    let paths: Vec<_> = requests.try_iter().map(|request| request.split(' ').nth(1).unwrap().to_owned()).collect();
    assert_eq!(paths[..3], ["/v1/sessions", "/v1/sessions", "/v1/nodes"], "signed again, with the right time");
}

#[test]
fn only_the_coordinators_own_words_are_a_no() {
    let status = StatusCode::NOT_FOUND;
    let own = ApiError { code: "lease_over".into(), message: "it is over".into() };
    assert!(answer_of(status, Some(own), None).final_for_content());
    for status in [StatusCode::NOT_FOUND, StatusCode::FORBIDDEN, StatusCode::PAYLOAD_TOO_LARGE] {
        let page = answer_of(status, None, None);
        assert!(page.passing() && !page.final_for_content(), "{page}: a proxy's page must not cost a result");
    }
}
