//! Proxies and certificates: what passes where, and what is said when nothing does.

use std::net::SocketAddr;
use std::process::Command;

use serde_json::Value;
use surge_tests::door::{Authority, NOWHERE, closed_proxy, coordinator, proxy, secure_coordinator};
use surge_tests::home::{Home, Ran, manifest};
use surge_tests::network::wait_for;

fn here(scheme: &'static str) -> impl Fn(SocketAddr) -> String + Clone {
    move |address| serde_json::to_string(&manifest(&format!("{scheme}://{address}"))).unwrap()
}

fn attach(home: &Home, url: &str, env: &[(&str, &str)]) -> Ran {
    Ran::of(home.surge(&["attach", url]).envs(env.iter().copied()))
}

#[test]
fn plain_requests_and_tunnels_go_through_the_proxy_that_the_environment_names() {
    let home = Home::new();
    let server = coordinator(&here("http"));
    let through = proxy(server.address);
    let named = format!("http://{}", through.address);
    for variable in ["HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
        let before = through.count("GET http://coordinator.test/v1/network");
        let ran = attach(&home, &format!("http://{NOWHERE}"), &[(variable, &named)]);
        assert_eq!(ran.status, Some(0), "{variable}: {ran:?}");
        assert_eq!(through.count("GET http://coordinator.test/v1/network"), before + 1, "{variable}");
    }
    let authority = Authority::new();
    let secure = secure_coordinator(&here("https"), &authority);
    let tunnel = proxy(secure.address);
    home.write("ca.pem", authority.pem());
    home.write("settings.toml", "extra_ca = \"ca.pem\"\n");
    let ran = attach(&home, &format!("https://{NOWHERE}"), &[("HTTPS_PROXY", &format!("http://{}", tunnel.address))]);
    assert_eq!(ran.status, Some(0), "{ran:?}");
    assert_eq!((tunnel.count("CONNECT coordinator.test:443"), secure.count("GET /v1/network")), (1, 1));
}

#[test]
fn no_proxy_names_what_needs_none_and_a_dead_proxy_is_named() {
    let home = Home::new();
    let server = coordinator(&here("http"));
    let url = format!("http://{}", server.address);
    let dead = "http://me:secret@127.0.0.1:9";
    let failed = attach(&home, &url, &[("HTTP_PROXY", dead)]);
    assert_eq!(failed.failure(), (21, "proxy_unreachable"));
    assert!(failed.err.contains("the proxy 127.0.0.1:9") && failed.err.contains("NO_PROXY"), "{}", failed.err);
    assert!(!failed.err.contains("secret"), "{}", failed.err);
    assert_eq!(attach(&home, &url, &[("HTTP_PROXY", dead), ("NO_PROXY", "127.0.0.1")]).status, Some(0));

    for nonsense in ["http://", ":::", "http://me:secret@"] {
        let wrong = attach(&home, &url, &[("HTTP_PROXY", nonsense)]);
        assert_eq!(wrong.failure(), (11, "bad_proxy"), "{nonsense}: nothing goes a way that nobody meant");
        assert!(wrong.err.contains("HTTP_PROXY") && !wrong.err.contains("secret"), "{}", wrong.err);
    }
    assert_eq!(attach(&home, &url, &[("HTTP_PROXY", "")]).status, Some(0), "empty is not set");

    let closed = closed_proxy("403 Forbidden");
    let named = format!("http://{}", closed.address);
    let refused = attach(&home, &format!("https://{NOWHERE}"), &[("HTTPS_PROXY", &named)]);
    assert_eq!(refused.failure(), (21, "proxy_refused"));
    assert_eq!(closed.count("CONNECT coordinator.test:443"), 1);
    let closed = closed_proxy("407 Proxy Authentication Required");
    let named = format!("http://{}", closed.address);
    let refused = attach(&home, &format!("http://{NOWHERE}"), &[("HTTP_PROXY", &named)]);
    assert_eq!(refused.failure(), (21, "proxy_refused"), "{refused:?}");
}

#[test]
fn a_certificate_of_an_unknown_authority_is_trusted_only_when_its_file_is_named() {
    let home = Home::new();
    let authority = Authority::new();
    let server = secure_coordinator(&here("https"), &authority);
    let url = format!("https://{}", server.address);
    let failed = attach(&home, &url, &[]);
    assert_eq!(failed.failure(), (21, "tls_untrusted"), "{}", failed.err);
    assert!(failed.err.contains("extra_ca"), "{}", failed.err);
    assert_eq!(server.count("GET"), 0, "nothing was asked of a stranger");

    let file = home.write("ca.pem", authority.pem());
    assert_eq!(attach(&home, &url, &[("SSL_CERT_FILE", file.to_str().unwrap())]).status, Some(0));
    assert_eq!(home.run(&["limits", "set", "extra_ca=ca.pem"]).status, Some(0));
    assert_eq!(attach(&home, &url, &[]).status, Some(0), "relative to the home");
    home.write("ca.pem", Authority::new().pem());
    assert_eq!(attach(&home, &url, &[]).failure(), (21, "tls_untrusted"), "another authority is none");
}

#[test]
fn a_broken_file_of_certificates_ends_the_start_and_names_the_setting() {
    let home = Home::attached("https://127.0.0.1:9");
    home.write("settings.toml", "extra_ca = \"ca.pem\"\n");
    let pem = Authority::new().pem().to_owned();
    let damaged = pem.replacen("MII", "MIA", 1);
    for (text, told) in [
        (None, "is not there"),
        (Some("no certificate".to_owned()), "holds no certificate"),
        (Some(damaged), "damaged certificate"),
        (Some(pem.replace("-----END CERTIFICATE-----", "")), "certificate"),
    ] {
        if let Some(text) = text {
            home.write("ca.pem", text);
        }
        for command in [&["run", "--share-machine", "--exit-when-not-set-up"][..], &["attach", "https://127.0.0.1:9"]] {
            let ran = home.run(command);
            assert_eq!(ran.failure(), (11, "bad_extra_ca"), "{told}: {ran:?}");
            assert!(
                ran.err.contains("extra_ca") && ran.err.contains(told) && ran.err.contains("ca.pem"),
                "{}",
                ran.err
            );
        }
    }
}

fn first_reason(home: &Home) -> Value {
    home.run(&["why", "--json"]).json()[0].clone()
}

/// An engine whose first reason tells `code`.
fn tells(home: &Home, engine: &mut Command, code: &str) {
    let _engine = home.start(engine);
    let reason = wait_for(code, || Some(first_reason(home)).filter(|it| it["code"] == "coordinator_unreachable"));
    assert!(reason["detail"].as_str().unwrap().contains(code), "{reason}");
    assert!(reason["remedy"].as_str().unwrap().contains("docs/headless.md"), "{reason}");
}

#[test]
fn the_engine_goes_the_same_ways_and_says_what_stands_in_them() {
    let authority = Authority::new();
    let server = secure_coordinator(&here("https"), &authority);
    let tunnel = proxy(server.address);
    let proxied = format!("http://{}", tunnel.address);
    let home = Home::attached(&format!("https://{NOWHERE}"));
    tells(&home, home.engine().env("HTTPS_PROXY", "http://127.0.0.1:9"), "proxy_unreachable");
    tells(&home, home.engine().env("HTTPS_PROXY", &proxied), "tls_untrusted");
    assert_eq!(server.count("POST"), 0);

    home.write("ca.pem", authority.pem());
    home.write("settings.toml", "extra_ca = \"ca.pem\"\n");
    let _engine = home.start(home.engine().env("HTTPS_PROXY", &proxied));
    wait_for("the engine at the coordinator's door", || (server.count("POST /v1/sessions") > 0).then_some(()));
    assert!(tunnel.count("CONNECT coordinator.test:443") > 0);
}
