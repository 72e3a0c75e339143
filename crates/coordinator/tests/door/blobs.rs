//! Blobs: verified on the way in, in parts on the way out.

use futures::stream;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_RANGE, RANGE};
use surge_coordinator::blobs::Blobs;
use surge_coordinator::error::Code;
use surge_protocol::Digest;
use surge_protocol::api::MAX_BLOB;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::actors::Actor;
use crate::harness::Net;

fn files(net: &Net) -> Vec<std::path::PathBuf> {
    let shards = std::fs::read_dir(net.home.path().join("blobs")).unwrap();
    let inside = shards.flat_map(|shard| std::fs::read_dir(shard.unwrap().path()).unwrap());
    inside.map(|file| file.unwrap().path()).collect()
}

#[tokio::test]
async fn bytes_that_are_not_what_they_claim_are_refused_and_leave_nothing() {
    let net = Net::start().await;
    let actor = Actor::open(&net, 50).await;
    let claimed = Digest::of(b"the truth");
    let refusal = actor.upload_as(&net, claimed, b"something else".to_vec()).await.unwrap_err();
    assert_eq!((refusal.status, refusal.code.as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "wrong_digest"));
    assert!(refusal.message.contains(&Digest::of(b"something else").to_string()), "{}", refusal.message);
    let path = format!("/v1/blobs/{claimed}");
    assert_eq!(net.get::<serde_json::Value>(&path).await.unwrap_err().code, "unknown_blob");
    assert_eq!(files(&net), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn a_large_blob_streams_in_and_out_in_parts() {
    let net = Net::start().await;
    let actor = Actor::open(&net, 50).await;
    let bytes: Vec<u8> = (0..3_500_000u32).map(|n| (n % 251) as u8).collect();
    let digest = Digest::of(&bytes);
    for _ in 0..2 {
        let pieces: Vec<_> = bytes.chunks(70_001).map(|piece| Ok::<_, std::io::Error>(piece.to_vec())).collect();
        actor.upload_as(&net, digest, reqwest::Body::wrap_stream(stream::iter(pieces))).await.unwrap();
    }
    let url = net.url(&format!("/v1/blobs/{digest}"));
    let whole = net.http.get(&url).send().await.unwrap();
    assert_eq!((whole.status(), whole.content_length()), (StatusCode::OK, Some(3_500_000)));
    assert_eq!(whole.bytes().await.unwrap(), bytes);
    for (range, expected, part) in [
        ("bytes=0-3", "bytes 0-3/3500000", &bytes[..4]),
        ("bytes=3499998-", "bytes 3499998-3499999/3500000", &bytes[3_499_998..]),
        ("bytes=3499999-9999999", "bytes 3499999-3499999/3500000", &bytes[3_499_999..]),
        ("bytes=-5", "bytes 3499995-3499999/3500000", &bytes[3_499_995..]),
    ] {
        let reply = net.http.get(&url).header(RANGE, range).send().await.unwrap();
        assert_eq!(reply.status(), StatusCode::PARTIAL_CONTENT, "{range}");
        assert_eq!(reply.headers()[CONTENT_RANGE], expected);
        assert_eq!(reply.bytes().await.unwrap(), part);
    }
    let beyond = net.http.get(&url).header(RANGE, "bytes=3500000-").send().await.unwrap();
    assert_eq!(beyond.status(), StatusCode::RANGE_NOT_SATISFIABLE);
}

#[tokio::test]
async fn an_empty_blob_is_a_blob() {
    let net = Net::start().await;
    let actor = Actor::open(&net, 50).await;
    let digest = actor.upload(&net, b"").await.digest;
    let reply = net.http.get(net.url(&format!("/v1/blobs/{digest}"))).send().await.unwrap();
    assert_eq!((reply.status(), reply.bytes().await.unwrap().len()), (StatusCode::OK, 0));
}

#[tokio::test]
async fn what_is_too_large_or_nobodys_is_refused_before_it_is_read() {
    let net = Net::start().await;
    let actor = Actor::open(&net, 50).await;
    let digest = Digest::of(b"x");
    let url = net.url(&format!("/v1/blobs/{digest}"));
    let nobody = net.http.put(&url).body("x").send().await.unwrap();
    assert_eq!(nobody.status(), StatusCode::UNAUTHORIZED);
    let mut raw = tokio::net::TcpStream::connect(net.base.trim_start_matches("http://")).await.unwrap();
    let (token, size) = (&actor.token, MAX_BLOB + 1);
    let head = format!(
        "PUT /v1/blobs/{digest} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: {size}\r\n\r\n"
    );
    raw.write_all(head.as_bytes()).await.unwrap();
    let mut reply = [0; 12];
    raw.read_exact(&mut reply).await.unwrap();
    assert_eq!(&reply, b"HTTP/1.1 413", "before a single byte of it was sent");
    assert_eq!(files(&net), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn a_blob_that_never_ends_is_cut_off_and_leaves_nothing() {
    let folder = tempfile::TempDir::new().unwrap();
    let blobs = Blobs::open(folder.path()).unwrap();
    let piece = axum::body::Bytes::from(vec![7; 8 << 20]);
    let endless = stream::repeat_with(|| Ok(piece.clone()));
    let error = blobs.put(Digest::of(b"x"), endless).await.unwrap_err();
    assert_eq!(error.code, Code::TooLarge);
    assert_eq!(blobs.size(Digest::of(b"x")).await.unwrap(), None);
    let shard = folder.path().join(&Digest::of(b"x").to_string()[..2]);
    assert_eq!(std::fs::read_dir(shard).unwrap().count(), 0);
}

#[tokio::test]
async fn what_an_interrupted_upload_left_is_removed_at_the_next_start() {
    let mut net = Net::start().await;
    let actor = Actor::open(&net, 50).await;
    let kept = actor.upload(&net, b"kept").await.digest.to_string();
    let shard = net.home.path().join("blobs").join(&kept[..2]);
    std::fs::write(shard.join(format!("{kept}#1")), b"half").unwrap();
    net.restart().await;
    assert_eq!(files(&net), vec![shard.join(kept)]);
}
