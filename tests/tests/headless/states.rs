//! What an engine can't do yet is a state that the owner can mend while it runs, not an end.

use std::path::Path;
use std::process::Stdio;

use rustix::process::Signal;
use serde_json::Value;
use surge_platform::paths::Paths;
use surge_tests::home::{Home, Ran, end_some_time, manifest, signal};
use surge_tests::network::{Running, program, wait_for};

/// A coordinator's address at which nobody is.
const NOBODY: &str = "http://127.0.0.1:9";

fn state(home: &Home) -> Value {
    let ran = home.run(&["status", "--json"]);
    assert_eq!(ran.status, Some(0), "{ran:?}");
    ran.json()
}

/// Whatever else runs on this computer is no reason to hold.
const BESIDE_OTHERS: &str = "other_load_percent = 100\n";

/// The first reason's code and case.
fn first(state: &Value) -> (String, String) {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (word(&state["reasons"][0]["code"]), word(&state["reasons"][0]["case"]))
}

fn until(home: &Home, code: &str, case: &str) -> Value {
    wait_for(&format!("{code} {case}"), || Some(state(home)).filter(|now| first(now) == (code.into(), case.into())))
}

#[test]
fn an_engine_that_starts_with_nothing_goes_on_by_itself_when_it_is_attached_and_paid_for() {
    let home = Home::new();
    home.write("settings.toml", BESIDE_OTHERS);
    let mut engine = home.started();
    let now = until(&home, "not_set_up", "no_network");
    assert_eq!((now["state"].as_str(), now["networks"].as_array().map(Vec::len)), (Some("needs_you"), Some(0)));

    home.write("network.json", serde_json::to_vec(&manifest(NOBODY)).unwrap());
    let now = until(&home, "not_set_up", "no_payout");
    assert_eq!((now["networks"][0]["name"].as_str(), &now["networks"][0]["payout"]), (Some("test"), &Value::Null));

    home.attach(&manifest(NOBODY));
    // Nobody answers there: it asks for work.
    let now = until(&home, "coordinator_unreachable", "");
    assert!(now["networks"][0]["payout"].as_str().is_some_and(|payout| payout.starts_with("0x")), "{now}");

    home.write("payout.json", "{}");
    let now = until(&home, "setup_invalid", "");
    assert!(now["reasons"][0]["subject"].as_str().is_some_and(|file| file.ends_with("payout.json")), "{now}");
    std::fs::remove_file(home.path().join("network.json")).unwrap();
    until(&home, "not_set_up", "no_network");

    home.attach(&manifest("http://127.0.0.1:10"));
    until(&home, "coordinator_unreachable", "");
    assert!(engine.0.try_wait().unwrap().is_none(), "it is the same engine all the while");
}

#[test]
fn settings_and_programs_that_are_broken_at_the_start_are_states_too() {
    let home = Home::attached(NOBODY);
    home.write("settings.toml", "cpu_percent = 400\n");
    let _engine = home.start(home.engine().env("SURGE_WORKER", home.path().join("worker")));
    until(&home, "settings_invalid", "");
    home.write("settings.toml", format!("cpu_percent = 40\n{BESIDE_OTHERS}"));
    until(&home, "installation_broken", "");
    std::os::unix::fs::symlink(program("surge-worker"), home.path().join("worker")).unwrap();
    until(&home, "coordinator_unreachable", "");
    home.write("settings.toml", "extra_ca = \"nothing.pem\"\n");
    let now = state(&home);
    assert!(now["settings"].as_array().is_some_and(|all| all.len() > 20), "{now}");
}

#[test]
fn a_server_is_told_by_the_status_instead_also_later() {
    let home = Home::attached(NOBODY);
    let mut engine = home.start(home.engine().arg("--exit-when-not-set-up"));
    std::fs::remove_file(home.path().join("payout.json")).unwrap();
    assert_eq!(engine.0.wait().unwrap().code(), Some(10));
}

#[test]
fn an_engine_whose_home_is_removed_ends_and_says_so() {
    let home = Home::attached(NOBODY);
    let folder = home.path().join("home");
    std::fs::create_dir(&folder).unwrap();
    for file in ["network.json", "device.key", "payout.json"] {
        std::fs::rename(home.path().join(file), folder.join(file)).unwrap();
    }
    let mut engine = home.engine();
    let mut engine = Running(engine.env("SURGE_HOME", &folder).stderr(Stdio::piped()).spawn().unwrap());
    end_some_time(&engine.0);
    let answers = || Ran::of(home.surge(&["status"]).env("SURGE_HOME", &folder)).status == Some(0);
    wait_for("the engine", || answers().then_some(()));
    std::fs::rename(&folder, home.path().join("away")).unwrap();
    let said = std::io::read_to_string(engine.0.stderr.take().unwrap()).unwrap();
    assert_eq!(engine.0.wait().unwrap().code(), Some(1), "{said}");
    assert!(said.contains("[home_gone]"), "{said}");
}

/// The engines that run with this home, by their command lines.
fn engines(home: &Path) -> Vec<u32> {
    let home = home.display().to_string();
    let of = |entry: std::fs::DirEntry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let line = std::fs::read_to_string(entry.path().join("cmdline")).ok()?;
        let words: Vec<_> = line.split('\0').collect();
        (words.contains(&home.as_str()) && words.contains(&"run")).then_some(pid)
    };
    std::fs::read_dir("/proc").unwrap().flatten().filter_map(of).collect()
}

/// Ends every engine of a home that a test started through a shell, also when the test fails.
struct EnginesEnd<'a>(&'a Path);

impl Drop for EnginesEnd<'_> {
    fn drop(&mut self) {
        for engine in engines(self.0) {
            let pid = i32::try_from(engine).ok().and_then(rustix::process::Pid::from_raw).unwrap();
            // It may be gone already.
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
    }
}

#[test]
fn shells_that_start_an_engine_at_once_find_the_same_one_and_it_outlives_them() {
    let home = Home::attached(NOBODY);
    home.write("settings.toml", "share_machine = true\npresence = \"headless\"\n");
    let paths: Paths = home.paths();
    let _end = EnginesEnd(home.path());
    let start = |paths: Paths| {
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(surge_client::start_program(&program("surge"), &paths))
        })
    };
    let shells: Vec<_> = (0..4).map(|_| start(paths.clone())).collect();
    for shell in shells {
        shell.join().unwrap().unwrap();
    }
    let running = wait_for("the others' end", || Some(engines(home.path())).filter(|pids| pids.len() == 1));
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", running[0])).unwrap();
    let session = stat.rsplit(')').next().unwrap().split_whitespace().nth(3).map(str::to_owned);
    assert_eq!(session, Some(running[0].to_string()), "it leads a session of its own");
    let open = std::fs::read_dir(format!("/proc/{}/fd", running[0])).unwrap().flatten();
    let targets: Vec<_> = open.filter_map(|fd| std::fs::read_link(fd.path()).ok()).collect();
    assert!(targets.iter().all(|target| !target.to_string_lossy().contains("/dev/pts")), "{targets:?}");

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(surge_client::stop(&paths)).unwrap();
    assert!(!Path::new(&format!("/proc/{}/exe", running[0])).exists() || engines(home.path()).is_empty());
}

#[test]
fn an_engine_that_a_terminal_stops_says_nothing_till_it_is_continued_and_goes_on_then() {
    let home = Home::attached(NOBODY);
    let engine = Running(home.engine().spawn().unwrap());
    wait_for("the engine", || home.surge(&["status"]).output().unwrap().status.success().then_some(()));
    let state_of = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", engine.0.id())).unwrap();
        stat.rsplit(')').next().unwrap().split_whitespace().next().unwrap().to_owned()
    };
    for _ in 0..3 {
        signal(&engine.0, Signal::TSTP);
        wait_for("the stop", || (state_of() == "T").then_some(()));
        signal(&engine.0, Signal::CONT);
        wait_for("an answer", || home.surge(&["status"]).output().unwrap().status.success().then_some(()));
    }
}
