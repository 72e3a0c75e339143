//! What a bad line and a full disk do to work that was done: nothing.

#![expect(clippy::unwrap_used, reason = "a test that can't go on says where")]

use std::path::Path;

use serde_json::Value;
use surge_tests::network::{Network, wait_for};
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
        if seen.is_multiple_of(2) { faults[seen as usize / 2 % 4] } else { Fault::None }
    });
    let _engine = contributor.run();
    wait_for("the job's end", || (job(&network, &id)["state"] == "done").then_some(()));
    let status = job(&network, &id);
    assert_eq!((status["validated"].as_u64(), status["failed"].as_u64()), (Some(8), Some(0)), "{status}");
    assert_eq!((status["rejected"].as_u64(), status["spent"].as_str()), (Some(0), Some("4000000000000000000")));
    let account = network.get(&format!("/v1/accounts/{}", contributor.address())).unwrap();
    assert_eq!(account["accepted"].as_u64(), Some(8), "each paid once: {account}");
    wait_for("the last answer", || (contributor.answer(&["status"])["undelivered"] == 0).then_some(()));
    let counted = line.counted();
    for fault in [Fault::Cut, Fault::LoseAnswer, Fault::Twice, Fault::Slow, Fault::HalfOpen] {
        assert!(counted.get(&fault) > Some(&0), "{fault:?} never happened: {counted:?}");
    }
}
