//! `surge attach` with every source that a manifest may come from.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;

use crate::failure;
use crate::home::{Home, Kind, NOBODY, manifest};

/// Answers every request with this, and returns its address.
fn server(answer: impl Fn(&str) -> (u16, Vec<u8>) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let request = lines.next().unwrap().unwrap();
            while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
            let (status, body) = answer(request.split(' ').nth(1).unwrap_or_default());
            let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            // Whoever has read enough may have gone.
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        }
    });
    address
}

#[test]
fn a_network_is_attached_by_whatever_names_it() {
    let text = serde_json::to_string(&manifest(NOBODY)).unwrap();
    let body = text.clone();
    let address = server(move |path| match path {
        "/v1/network" => (200, body.clone().into_bytes()),
        _ => (404, Vec::new()),
    });
    let urls = [
        address.clone(),
        format!("{address}/"),
        format!("  http://{address}// "),
        format!("HTTP://{address}"),
        address.replace("127.0.0.1", "localhost"),
    ];
    let files = ["network.json", "./network.json", "{desk}/network.json"].map(str::to_owned);
    for source in urls.iter().chain(&files).map(String::as_str).chain(["-"]) {
        let home = Home::new(Kind::Missing);
        let told = home.run_with_input(&["attach", &home.fill(source)], &text);
        assert_eq!(told.status.code(), Some(0), "{source:?}: {told:?}");
        assert!(
            String::from_utf8_lossy(&told.stdout).starts_with("Attached to test (chain 31337).\nNext: "),
            "{told:?}"
        );
        let kept = std::fs::metadata(home.path().join("network.json")).unwrap();
        let folder = std::fs::metadata(home.path()).unwrap();
        assert_eq!((kept.mode() & 0o777, folder.mode() & 0o777), (0o600, 0o700));
    }
}

#[test]
fn an_answer_that_is_no_manifest_is_refused_and_changes_nothing() {
    let page = || b"<html>Welcome</html>".to_vec();
    let zero = || {
        let mut wrong = serde_json::to_value(manifest(NOBODY)).unwrap();
        wrong["network"]["name"] = "".into();
        serde_json::to_vec(&wrong).unwrap()
    };
    for (answer, status, code) in [
        ((200, page()), 21, "coordinator_unreachable"),
        ((200, vec![b' '; 10 << 20]), 21, "coordinator_unreachable"),
        ((404, page()), 1, "http_404"),
        ((500, vec![b'x'; 1 << 20]), 1, "http_500"),
        ((200, zero()), 11, "bad_network"),
    ] {
        let about = format!("{code}, {} bytes", answer.1.len());
        let address = server(move |_| answer.clone());
        let home = Home::new(Kind::Attached);
        let before = std::fs::read(home.path().join("network.json")).unwrap();
        let told = home.run(&["attach", &address], true);
        assert_eq!(failure(&told, true), Ok((status, code.to_owned())), "{about}");
        assert_eq!(std::fs::read(home.path().join("network.json")).unwrap(), before, "{about}");
    }
}
