//! What a bad line and a full disk do to work that was done: nothing.

#![expect(clippy::unwrap_used, reason = "a test that can't go on says where")]

use std::io::Write;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use surge_tests::network::{Network, Person, Running, wait_for};
use surge_tests::proxy::Fault;

fn short_tasks(folder: &Path, count: u64) -> (std::path::PathBuf, Vec<Vec<u8>>) {
    let module = folder.join("counting.wasm");
    std::fs::write(&module, surge_tests::counting::module(20, 100_000)).unwrap();
    (module, (0..count).map(|n| n.to_le_bytes().to_vec()).collect())
}

fn job(network: &Network, id: &str) -> Value {
    network.get(&format!("/v1/jobs/{id}")).unwrap_or_default()
}

#[test]
fn a_bad_line_loses_no_result_and_pays_none_twice() {
    let folder = tempfile::tempdir().unwrap();
    let network = Network::start_behind_a_line(folder.path());
    let requester = network.person("requester", 100);
    let contributor = network.person("contributor", 0);
    let _ = requester.answer(&["wallet", "deposit", "50"]);
    let (module, inputs) = short_tasks(folder.path(), 8);
    let id = requester.submit(&module, &inputs, 1);
    let line = network.line.as_ref().unwrap();
    let (mut seen, mut stuck) = (0u32, false);
    line.weather(move |request| {
        // A lease whose answer is lost is nobody's for a minute: that is the coordinator's rule, and tested there.
        if request.starts_with("POST /v1/leases HTTP") {
            return Fault::None;
        }
        if request.contains("/result ") && !std::mem::replace(&mut stuck, true) {
            return Fault::HalfOpen;
        }
        seen += 1;
        let faults = [Fault::LoseAnswer, Fault::Twice, Fault::Cut, Fault::Slow];
        if seen.is_multiple_of(3) { faults[seen as usize / 3 % 4] } else { Fault::None }
    });
    let _engine = contributor.run();
    wait_for("the job's end", || (job(&network, &id)["state"] == "done").then_some(()));
    let status = job(&network, &id);
    assert_eq!((status["validated"].as_u64(), status["failed"].as_u64()), (Some(8), Some(0)), "{status}");
    assert_eq!((status["rejected"].as_u64(), status["spent"].as_str()), (Some(0), Some("4000000000000000000")));
    let account = network.get(&format!("/v1/accounts/{}", contributor.address())).unwrap();
    assert_eq!(account["accepted"].as_u64(), Some(8), "each paid once: {account}");
    wait_for("the last answer", || (contributor.answer(&["status"])["networks"][0]["undelivered"] == 0).then_some(()));
    let counted = line.counted();
    for fault in [Fault::Cut, Fault::LoseAnswer, Fault::Twice, Fault::Slow, Fault::HalfOpen] {
        assert!(counted.get(&fault) > Some(&0), "{fault:?} never happened: {counted:?}");
    }
}

/// What follows runs in a mount namespace of its own.
fn namespace() -> Command {
    let mut command = Command::new("unshare");
    command.arg("--mount");
    if !rustix::process::getuid().is_root() {
        command.arg("--map-root-user");
    }
    command
}

/// A folder with a file system of its own of `mib` MiB, which only this process and its children see: it is mounted in a
/// mount namespace that the engine is started in.
fn on_a_small_disk(person: &Person, mib: u32, args: &[&str]) -> Command {
    let engine = person.engine(args);
    let words = std::iter::once(engine.get_program()).chain(engine.get_args());
    let words: Vec<_> = words.map(|word| word.to_str().unwrap().to_owned()).collect();
    let home = person.home.display().to_string();
    // What was in the home is taken along.
    let script = "cp -a \"$0\" \"$0.copy\" && mount -t tmpfs -o size=\"$1\"m tmpfs \"$0\" && cp -a \"$0.copy/.\" \"$0\" && shift && exec \"$@\"";
    let mut command = namespace();
    command.args(["sh", "-c", script]).arg(home).arg(mib.to_string()).args(words);
    let kept = engine.get_envs().filter_map(|(name, value)| Some((name, value?)));
    command.envs(kept).stderr(std::fs::File::create(person.home.with_extension("log")).unwrap());
    command
}

#[test]
fn a_full_disk_loses_no_result_and_says_so() {
    let tried = namespace().args(["mount", "-t", "tmpfs", "tmpfs", "/tmp"]).output().unwrap();
    if !tried.status.success() {
        // Some containers, and systems that forbid user namespaces.
        println!("this user can't have a small disk here: {}", String::from_utf8_lossy(&tried.stderr).trim());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let network = Network::start(folder.path());
    let requester = network.person("requester", 100);
    let contributor = network.person("contributor", 0);
    let _ = requester.answer(&["wallet", "deposit", "50"]);
    let engine = Running(on_a_small_disk(&contributor, 16, &[]).spawn().unwrap());
    // The engine's own view of its home, from outside.
    let inside = Person {
        home: Path::new(&format!("/proc/{}/root", engine.0.id())).join(contributor.home.strip_prefix("/").unwrap()),
    };
    wait_for("the engine", || inside.try_ask(&["status"]).0.then_some(()));

    // Long enough to be paused before its end; paused, it waits until the disk is full.
    let module = folder.path().join("long.wasm");
    std::fs::write(&module, surge_tests::counting::module(3_000, 1_000_000)).unwrap();
    let id = requester.submit(&module, &[vec![1; 8]], 1);
    wait_for("the task's start", || {
        (inside.answer(&["status"])["workers"].as_array().is_some_and(|workers| !workers.is_empty())).then_some(())
    });
    let _ = inside.answer(&["pause"]);
    assert_eq!(
        inside.answer(&["status"])["workers"].as_array().unwrap().len(),
        1,
        "it ended before it could be paused"
    );
    let filler = inside.home.join("filler");
    let mut file = std::fs::File::create(&filler).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    let _ = inside.answer(&["resume"]);
    let full = wait_for("the engine to say so", || {
        let reasons = inside.answer(&["why"]);
        reasons.as_array().unwrap().iter().find(|reason| reason["code"] == "disk_full").cloned()
    });
    assert!(full["remedy"].as_str().unwrap().contains("Free some disk space"), "{full}");
    assert_ne!(job(&network, &id)["state"], "done");
    std::fs::remove_file(&filler).unwrap();
    drop(file);
    wait_for("the job's end", || (job(&network, &id)["state"] == "done").then_some(()));
    let account = network.get(&format!("/v1/accounts/{}", contributor.address())).unwrap();
    assert_eq!(account["accepted"].as_u64(), Some(1), "{account}");
}
