//! Each documented exit status is what the program gives.

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use surge_tests::door::coordinator;
use surge_tests::home::{Home, Ran, manifest};
use surge_tests::network::{Running, wait_for};

/// A coordinator's address at which nobody is.
const NOBODY: &str = "http://127.0.0.1:9";

#[test]
fn every_documented_status_is_the_one_that_is_given() {
    let home = Home::new();
    assert_eq!(home.run(&["limits"]).status, Some(0));
    assert_eq!(home.run(&["timeline"]).status, Some(0), "no engine has run, and that is an answer");
    assert_eq!(home.run(&["--frobnicate"]).status, Some(2));
    assert_eq!(home.run(&["limits", "set", "cpu_percent=400"]).failure(), (2, "bad_change"));
    assert_eq!(home.run(&["run", "--exit-when-not-set-up", "--share-machine"]).failure(), (10, "no_network"));
    for question in ["status", "why", "resume", "pause"] {
        assert_eq!(home.run(&[question]).failure(), (20, "not_running"));
    }
    assert_eq!(home.run(&["status", "--watch"]).failure(), (20, "not_running"));
    assert_eq!(home.run(&["attach", NOBODY]).failure(), (21, "coordinator_unreachable"));
    assert_eq!(home.run(&["attach", "nothing-here.json"]).failure(), (11, "bad_file"));

    home.write("network.json", "{}");
    assert_eq!(home.run(&["run", "--exit-when-not-set-up", "--share-machine"]).failure(), (11, "malformed_file"));
    home.write("network.json", serde_json::to_vec(&manifest(NOBODY)).unwrap());
    assert_eq!(home.run(&["run", "--exit-when-not-set-up", "--share-machine"]).failure(), (10, "no_payout"));
    home.write("settings.toml", "# mine\ncpu_percent = 400\n");
    let wrong = home.run(&["run", "--exit-when-not-set-up", "--share-machine"]);
    assert_eq!(wrong.failure(), (11, "bad_settings"));
    assert!(wrong.err.contains("line 2: cpu_percent is 400"), "{}", wrong.err);
    let json = home.run(&["run", "--exit-when-not-set-up", "--share-machine", "--json"]);
    assert_eq!((json.status, json.json()["error"]["code"].as_str()), (Some(11), Some("bad_settings")));
}

#[test]
fn an_engine_that_runs_already_and_a_worker_that_is_missing_have_theirs() {
    let home = Home::attached(NOBODY);
    let no_worker = Ran::of(
        home.surge(&["run", "--exit-when-not-set-up", "--share-machine"])
            .env("SURGE_WORKER", home.path().join("nothing")),
    );
    assert_eq!(no_worker.failure(), (13, "no_worker"));
    let other = home.write("surge-worker", "#!/bin/sh\necho no worker\n");
    std::fs::set_permissions(&other, std::fs::Permissions::from_mode(0o755)).unwrap();
    let wrong_worker =
        Ran::of(home.engine().arg("--exit-when-not-set-up").env("SURGE_WORKER", &other).stderr(Stdio::piped()));
    assert_eq!(wrong_worker.failure(), (13, "worker_unusable"));

    let _engine = home.started();
    assert_eq!(Ran::of(home.engine().stderr(Stdio::piped())).failure(), (12, "home_in_use"));
    let log = std::fs::read_to_string(home.paths().log()).unwrap();
    assert!(log.contains("[home_in_use]") && log.contains("Starting"), "the log has what was on standard error: {log}");
}

#[test]
fn a_home_deeper_than_the_path_of_a_socket_may_be_is_one_like_others() {
    let home = Home::attached(NOBODY);
    let deep = home.path().join("h".repeat(120));
    std::fs::create_dir(&deep).unwrap();
    for file in ["network.json", "device.key", "payout.json"] {
        std::fs::rename(home.path().join(file), deep.join(file)).unwrap();
    }
    let engine = home.engine().env("SURGE_HOME", &deep).spawn().unwrap();
    let _engine = Running(engine);
    let ask = |args: &[&str]| Ran::of(home.surge(args).env("SURGE_HOME", &deep));
    wait_for("the engine", || (ask(&["status"]).status == Some(0)).then_some(()));
    assert_eq!(ask(&["pause", "2h"]).status, Some(0));
}

#[test]
fn help_and_documentation_list_the_same_statuses() {
    let help = Home::new().run(&["--help"]).out;
    let docs = include_str!("../../../docs/headless.md");
    for status in [0, 1, 2, 10, 11, 12, 13, 20, 21, 101] {
        assert!(help.lines().any(|line| line.trim_start().starts_with(&format!("{status}  "))), "{status}: {help}");
        assert!(docs.contains(&format!("| {status} |")), "{status}");
    }
}

#[test]
fn who_reads_no_further_is_no_crash() {
    let door = coordinator(&|address| serde_json::to_string(&manifest(&format!("http://{address}"))).unwrap());
    let home = Home::new();
    assert_eq!(home.run(&["attach", &format!("http://{}", door.address)]).status, Some(0));
    for args in [&["run", "--exit-when-not-set-up"][..], &["status"], &["report"], &["timeline"]] {
        let (read, write) = std::io::pipe().unwrap();
        drop(read);
        let status = home.surge(args).stdout(write.try_clone().unwrap()).stderr(write).status().unwrap();
        assert!(status.code().is_some_and(|code| code != 101), "{args:?}: {status}");
    }
    assert!(!home.paths().crash().exists(), "nothing crashed");
}
