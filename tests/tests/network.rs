//! A network of real programs, and what happens to it when parts of it fail.

#![expect(clippy::unwrap_used, reason = "a test that can't go on says where")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::process::Signal;
use serde_json::Value;
use surge_tests::home::{end_some_time, signal};
use surge_tests::network::{Network, Person, Running, program, wait_for};
use surge_tests::process::{Clock, stopped};

/// A job of `tasks` short Lucas-Lehmer tests, each with an input of its own; its id.
fn submit(requester: &Person, tasks: u32, quorum: u32) -> String {
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("../jobs/mersenne.wasm");
    let inputs: Vec<_> = (0..tasks).map(|n| format!("\"{n}.txt\"")).collect();
    for n in 0..tasks {
        fs::write(requester.home.join(format!("{n}.txt")), format!("# {n}\n521\n607\n")).unwrap();
    }
    let job = requester.home.join("job.toml");
    let text = format!(
        "name = \"test\"\nmodule = {:?}\nprice = \"0.5\"\nquorum = {quorum}\ndeadline_minutes = 30\ninputs = [{}]\n",
        module.display().to_string(),
        inputs.join(", ")
    );
    fs::write(&job, text).unwrap();
    requester.answer(&["submit", job.to_str().unwrap()])["job"].as_str().unwrap().to_owned()
}

fn job(network: &Network, id: &str) -> Value {
    network.get(&format!("/v1/jobs/{id}")).unwrap_or_default()
}

#[test]
fn finished_results_survive_an_outage_and_are_delivered_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut network = Network::start(folder.path());
    let requester = network.person("requester", 100);
    let contributor = network.person("contributor", 0);
    let _ = requester.answer(&["wallet", "deposit", "50"]);
    let id = submit(&requester, 6, 1);
    let _engine = contributor.run();
    wait_for("the first verdict", || (job(&network, &id)["validated"].as_u64() > Some(0)).then_some(()));

    network.coordinator = None;
    wait_for("the engine to notice", || {
        let reasons = contributor.answer(&["why"]);
        let unreachable = |reason: &Value| reason["code"] == "coordinator_unreachable";
        reasons.as_array().unwrap().iter().any(unreachable).then_some(())
    });
    network.start_coordinator();

    wait_for("the job's end", || (job(&network, &id)["state"] == "done").then_some(()));
    let status = job(&network, &id);
    assert_eq!((status["validated"].as_u64(), status["failed"].as_u64()), (Some(6), Some(0)), "{status}");
    let account = network.get(&format!("/v1/accounts/{}", contributor.address())).unwrap();
    assert_eq!(account["accepted"].as_u64(), Some(6), "each delivered once: {account}");
}

/// A network whose contributor runs one task of `rounds` rounds, each of which ends with a checkpoint; the job's id.
fn one_task_at_work(folder: &Path, rounds: u64, steps: u64) -> (Network, Person, Running, String) {
    let network = Network::start(folder);
    let requester = network.person("requester", 100);
    let contributor = network.person("contributor", 0);
    let _ = requester.answer(&["wallet", "deposit", "50"]);
    let module = folder.join("counting.wasm");
    fs::write(&module, surge_tests::counting::module(rounds, steps)).unwrap();
    let id = requester.submit(&module, &[vec![1; 8]], 1);
    let engine = Running(contributor.engine(&["--checkpoint-ms", "50"]).spawn().unwrap());
    wait_for("the task's start", || {
        let (well, status) = contributor.try_ask(&["status"]);
        let computes = |worker: &Value| worker["cpu_ms"].as_u64() > Some(300);
        (well && status["workers"].as_array()?.iter().any(computes)).then_some(())
    });
    (network, contributor, engine, id)
}

#[test]
fn a_stopped_engine_holds_no_lease() {
    for finish in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        // One long round: there is no checkpoint to go on from.
        let (network, contributor, mut engine, id) = one_task_at_work(folder.path(), 1, 60_000_000_000);
        if finish {
            let _ = contributor.answer(&["pause", "--finish"]);
        }
        signal(&engine.0, Signal::INT);
        assert_eq!(engine.0.wait().unwrap().code(), Some(0));
        let job = job(&network, &id);
        assert_eq!((job["waiting"].as_u64(), job["running"].as_u64()), (Some(1), Some(0)), "{job}");
    }
}

/// A worker that ran would have moved its clock meanwhile; where it did not get to run, the test shows less and is not wrong.
const LONG_ENOUGH_TO_COMPUTE: std::time::Duration = std::time::Duration::from_millis(100);

/// Ctrl-Z. A worker that went on while its engine stands still would obey nobody.
#[test]
fn a_terminal_stops_the_worker_before_the_engine_and_the_task_goes_on_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let (network, contributor, engine, id) = one_task_at_work(folder.path(), 4_000, 1_000_000);
    let worker = contributor.answer(&["status"])["workers"][0]["pid"].as_u64().unwrap();
    let worker = u32::try_from(worker).unwrap();
    let clock = Clock::of(worker).unwrap();
    for _ in 0..3 {
        let before = clock.now().unwrap();
        wait_for("the worker to compute", || (clock.now()? > before).then_some(()));
        signal(&engine.0, Signal::TSTP);
        // No look may find the engine stopped and the worker not.
        wait_for("the engine to stop", || stopped(engine.0.id()).then_some(()));
        assert!(stopped(worker), "the engine has stopped before its worker");
        let at = clock.now().unwrap();
        std::thread::sleep(LONG_ENOUGH_TO_COMPUTE);
        assert_eq!(clock.now().unwrap(), at, "a stopped worker's clock stands still");
        signal(&engine.0, Signal::CONT);
    }
    wait_for("the task's end", || (job(&network, &id)["state"] == "done").then_some(()));
    let job = job(&network, &id);
    assert_eq!((job["validated"].as_u64(), job["failed"].as_u64()), (Some(1), Some(0)), "{job}");
}

#[test]
fn to_finish_survives_a_crash() {
    // A task that can go on from a checkpoint is finished; one that can't is for somebody else at once.
    for (rounds, steps, state, waiting) in [(4_000, 1_000_000, "done", 0), (1, 60_000_000_000, "running", 1)] {
        let folder = tempfile::tempdir().unwrap();
        let (network, contributor, engine, id) = one_task_at_work(folder.path(), rounds, steps);
        let _ = contributor.answer(&["pause", "--finish"]);
        drop(engine);
        let _engine = Running(contributor.engine(&["--checkpoint-ms", "50"]).spawn().unwrap());
        wait_for("the task to be finished, or given back", || {
            let job = job(&network, &id);
            let there = job["state"] == state && job["waiting"] == waiting && job["running"] == 0;
            there.then_some(())
        });
        wait_for("the pause after it", || {
            let (well, status) = contributor.try_ask(&["status"]);
            (well && status["state"] == "paused").then_some(())
        });
    }
}

#[test]
fn the_owner_pauses_and_resumes_from_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let network = Network::start(folder.path());
    let contributor = network.person("contributor", 0);
    assert_eq!(contributor.error(&["status"]), "not_running");
    let _engine = contributor.run();
    wait_for("the engine", || contributor.try_ask(&["status"]).0.then_some(()));

    let paused = contributor.answer(&["pause", "2h"]);
    assert_eq!(paused["state"], "paused");
    assert_eq!(contributor.answer(&["why"])[0]["code"], "paused");
    assert_ne!(contributor.answer(&["resume"])["state"], "paused");
}

#[test]
fn limits_count_while_it_runs_and_an_invalid_file_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let network = Network::start(folder.path());
    let contributor = network.person("contributor", 0);
    let _engine = contributor.run();
    wait_for("the engine", || contributor.try_ask(&["status"]).0.then_some(()));
    let first = || contributor.answer(&["why"])[0].clone();

    let limits = contributor.answer(&["limits", "set", &format!("schedule={} 00:00-24:00", another_day())]);
    assert_eq!(limits["limits"]["schedule"]["live"], true);
    wait_for("the schedule to count", || (first()["code"] == "outside_schedule").then_some(()));
    let reason = first();
    assert_eq!(reason["setting"], "schedule");
    assert!(reason["until"].as_u64().unwrap() > 0, "{reason}");

    let file = contributor.home.join("settings.toml");
    let valid = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{valid}\ncpu_percent = 400\n")).unwrap();
    let notice = wait_for("the notice", || contributor.answer(&["status"])["notices"].get(0).cloned());
    assert_eq!(notice["code"], "settings_invalid");
    assert!(notice["detail"].as_str().unwrap().contains("cpu_percent is 400, allowed is 1 to 100"), "{notice}");
    assert_eq!(first()["code"], "outside_schedule", "the settings before it hold");
    assert_eq!(contributor.error(&["limits", "set", "workers=2"]), "bad_settings");
    assert_eq!(contributor.error(&["limits", "set", "worker=2"]), "bad_change");

    fs::write(&file, valid).unwrap();
    let _ = contributor.answer(&["limits", "set", "schedule=[]"]);
    wait_for("work to be allowed", || (first()["code"] != "outside_schedule").then_some(()));
    let finished = contributor.answer(&["pause", "--finish"]);
    assert_eq!(finished["state"], "paused", "nothing was left to finish: {finished}");
}

/// A day that it is nowhere on earth now.
fn another_day() -> &'static str {
    let days = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs() / 86_400;
    // The first day of 1970 was a Thursday: this is three days from today.
    ["sun", "mon", "tue", "wed", "thu", "fri", "sat"][days as usize % 7]
}

#[test]
fn who_watches_and_who_looks_back_see_the_cpu_that_workers_used() {
    let folder = tempfile::tempdir().unwrap();
    let network = Network::start(folder.path());
    let requester = network.person("requester", 100);
    let contributor = network.person("contributor", 0);
    let _ = requester.answer(&["wallet", "deposit", "50"]);
    let mut engine = contributor.run();
    wait_for("the engine", || contributor.try_ask(&["status"]).0.then_some(()));
    let mut watch = contributor.surge();
    let mut watch = Running(
        watch.args(["status", "--watch", "--json"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap(),
    );
    end_some_time(&watch.0);
    let mut states = BufReader::new(watch.0.stdout.take().unwrap()).lines().map(|line| {
        let state: Value = serde_json::from_str(&line.unwrap()).unwrap();
        state
    });
    // Short tasks: most of their time lies between two looks of the engine.
    let module = folder.path().join("counting.wasm");
    fs::write(&module, surge_tests::counting::module(20, 1_000_000)).unwrap();
    let inputs: Vec<_> = (0..4_u64).map(|n| n.to_le_bytes().to_vec()).collect();
    let id = requester.submit(&module, &inputs, 1);
    let paid = states.find(|state| state["networks"][0]["earnings"]["tasks_accepted"] == 4).unwrap();
    assert_eq!(job(&network, &id)["validated"].as_u64(), Some(4), "{paid}");
    let worked = paid["worked_ms"].as_u64().unwrap();
    assert!(worked > 0, "{paid}");
    signal(&engine.0, Signal::TERM);
    assert_eq!(engine.0.wait().unwrap().code(), Some(0));

    let store = rusqlite::Connection::open(contributor.home.join("engine.sqlite")).unwrap();
    let billed: i64 = store
        .query_row("SELECT sum(json_extract(signed, '$.result.cpu_ms')) FROM results", [], |row| row.get(0))
        .unwrap();
    assert!(worked >= billed.unsigned_abs(), "{worked} ms measured, {billed} ms in the results");
    let timeline = contributor.answer(&["timeline"]);
    let seen: u64 = timeline["sums"].as_array().unwrap().iter().map(|sum| sum["cpu_ms"].as_u64().unwrap()).sum();
    assert_eq!(seen, worked, "what was measured is what is kept");
    let told: u64 = timeline["sums"].as_array().unwrap().iter().map(|sum| sum["ms"].as_u64().unwrap()).sum();
    assert_eq!(told, 86_400_000, "every moment once");
}

#[test]
fn a_second_engine_on_the_same_home_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let network = Network::start(folder.path());
    let contributor = network.person("contributor", 0);
    let _engine = contributor.run();
    wait_for("the engine", || contributor.try_ask(&["status"]).0.then_some(()));
    let second = contributor.surge().args(["run", "--presence", "headless", "--share-machine"]).output().unwrap();
    assert!(!second.status.success());
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains("[home_in_use]"), "{said}");
}

#[test]
fn money_mistakes_are_refused_before_anything_moves() {
    let folder = tempfile::tempdir().unwrap();
    let mut network = Network::start(folder.path());
    let owner = network.person("owner", 10);
    let receiver = "0x000000000000000000000000000000000000dEaD";
    assert_eq!(owner.error(&["wallet", "withdraw", "11", "--to", receiver]), "amount_not_enough");
    assert_eq!(owner.error(&["wallet", "deposit", "11"]), "amount_not_enough");
    let wrong = owner.error(&["wallet", "withdraw", "1", "--to", "0x000000000000000000000000000000000000DEAD"]);
    assert!(wrong.starts_with("address_"), "{wrong}");
    assert_eq!(owner.error(&["wallet", "new"]), "wallet_exists");
    let too_dear = fs::write(owner.home.join("0.txt"), "521\n").map(|()| {
        let job = owner.home.join("dear.toml");
        let module: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../jobs/mersenne.wasm");
        let text = format!(
            "name = \"dear\"\nmodule = {:?}\nprice = \"5\"\nquorum = 1\ndeadline_minutes = 5\ninputs = [\"0.txt\"]\n",
            module.display().to_string()
        );
        fs::write(&job, text).unwrap();
        job
    });
    let dear = too_dear.unwrap();
    assert_eq!(owner.error(&["submit", dear.to_str().unwrap()]), "insufficient_escrow");

    network.chain = None;
    assert_eq!(owner.error(&["wallet", "withdraw", "1", "--to", receiver]), "chain_unreachable");
    network.coordinator = None;
    assert_eq!(owner.error(&["wallet", "balance"]), "coordinator_unreachable");
}

#[test]
fn a_module_that_is_no_module_is_refused_when_it_is_submitted() {
    let folder = tempfile::tempdir().unwrap();
    let network = Network::start(folder.path());
    let requester = network.person("requester", 10);
    let _ = requester.answer(&["wallet", "deposit", "10"]);
    fs::write(requester.home.join("0.txt"), "x").unwrap();
    fs::write(requester.home.join("module.wasm"), "this is no module").unwrap();
    let job = requester.home.join("job.toml");
    let text = "name = \"x\"\nmodule = \"module.wasm\"\nprice = \"1\"\nquorum = 1\ndeadline_minutes = 5\ninputs = [\"0.txt\"]\n";
    fs::write(&job, text).unwrap();
    assert_eq!(requester.error(&["submit", job.to_str().unwrap()]), "not_a_module");
    assert!(program("surge-worker").is_file());
}
