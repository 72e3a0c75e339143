use std::sync::Arc;

use rusqlite::Connection;
use surge_protocol::api::{Lease, SignedResult};
use surge_protocol::epoch::ResultBody;
use surge_protocol::network::Network;
use surge_protocol::sign::{Key, Signed};
use surge_protocol::task::{BlobRef, Limits, Meter, TaskSpec};
use surge_protocol::{Address, Amount, Code, Digest, Outcome};

use super::*;
use crate::wish::{Pause, Wish};

/// A lease of a minute, of a task with an hour to its deadline.
pub(crate) fn a_lease(n: u8) -> Lease {
    let blob = BlobRef { digest: Digest([n; 32]), size: 5 };
    Lease {
        lease: Digest([n; 32]),
        task: Digest([n; 32]),
        job: Digest([0; 32]),
        job_name: "a job".into(),
        index: u64::from(n),
        spec: TaskSpec {
            module: blob,
            args: Vec::new(),
            stdin: blob,
            data: Vec::new(),
            limits: Limits::default(),
            meter: Meter::None,
            seed: 1,
        },
        net: Amount(1),
        expires_in_seconds: 60,
        deadline_in_seconds: 3_600,
        checkpoints: true,
    }
}

/// One of several networks on one chain.
pub(crate) fn a_network(n: u8) -> Network {
    let address = Address::repeat_byte(n);
    Network {
        name: format!("network {n}"),
        coordinators: vec![format!("http://127.0.0.1:{n}")],
        chain_id: 31337,
        rpc: vec!["http://127.0.0.1:1".into()],
        token: address,
        settlement: address,
        treasury: address,
        fee_bps: 0,
        coordinator_key: address,
    }
}

/// This device's key.
pub(crate) fn device() -> Key {
    Key::from_bytes(&[7; 32]).unwrap()
}

/// What the database at `path` holds of [`a_network`].
pub(in crate::store) fn store_of(n: u8, path: &Path) -> NetworkStore {
    NetworkStore::new(Arc::new(Store::open(path).unwrap()), a_network(n), device().address())
}

pub(crate) fn result(n: u8) -> SignedResult {
    let digest = Digest([n; 32]);
    let result = ResultBody {
        lease: digest,
        task: digest,
        outcome: Outcome::Done,
        code: Code::Status(0),
        digest,
        output: digest,
        runtime_class: "test".into(),
        fuel: 0,
        cpu_ms: 5,
        resumed: false,
    };
    SignedResult { result, signature: Signed([n; 65]) }
}

#[test]
fn results_wait_across_a_restart_until_they_are_delivered_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("engine.sqlite");
    let store = store_of(1, &path);
    for n in 1..=3 {
        store.finish(&result(n), u64::from(n)).unwrap();
        store.finish(&result(n), 9).unwrap();
    }
    drop(store);
    let store = store_of(1, &path);
    assert_eq!(
        store.waiting().unwrap().iter().map(|w| w.signed.clone()).collect::<Vec<_>>(),
        [result(1), result(2), result(3)]
    );
    store.delivered(Digest([1; 32])).unwrap();
    store.refused(Digest([3; 32]), "lease_unknown").unwrap();
    assert_eq!(store.waiting().unwrap().len(), 1);
}

#[test]
fn what_the_owner_wants_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("engine.sqlite");
    assert_eq!(Store::open(&path).unwrap().wish().unwrap(), Wish::Run);
    for wish in [Wish::Finish, Wish::Pause(Pause::Open), Wish::Pause(Pause::Until(77)), Wish::Run] {
        Store::open(&path).unwrap().set_wish(wish).unwrap();
        assert_eq!(Store::open(&path).unwrap().wish().unwrap(), wish);
    }
}

#[test]
fn today_counts_from_the_days_first_look() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_of(1, &folder.path().join("engine.sqlite"));
    assert_eq!(store.credited_today("2026-11-22", Amount(5)).unwrap(), Amount(0));
    assert_eq!(store.credited_today("2026-11-22", Amount(8)).unwrap(), Amount(3));
    assert_eq!(store.credited_today("2026-11-23", Amount(9)).unwrap(), Amount(0));
}

#[test]
fn a_newer_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("engine.sqlite");
    drop(Store::open(&path).unwrap());
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(Store::open(&path), Err(StoreError::Newer(99))));
}
