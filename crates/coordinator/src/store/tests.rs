use std::sync::Arc;

use surge_protocol::Address;
use surge_protocol::network::Network;
use surge_protocol::sign::Key;
use tempfile::TempDir;

use super::*;

fn terms(settlement: u8) -> Arc<Terms> {
    let key = Key::from_bytes(&[1; 32]).unwrap();
    let network = Network {
        name: "test".into(),
        coordinators: vec!["http://127.0.0.1:1".into()],
        chain_id: 31_337,
        rpc: vec!["http://127.0.0.1:2".into()],
        token: Address::repeat_byte(1),
        settlement: Address::repeat_byte(settlement),
        treasury: Address::repeat_byte(3),
        fee_bps: 500,
        coordinator_key: key.address(),
    };
    Arc::new(Terms { network, key })
}

fn open(home: &TempDir) -> Store {
    Store::open(&home.path().join("store.sqlite"), terms(2)).unwrap()
}

async fn count(store: &Store) -> u64 {
    store.read(|db| Ok(db.query_row("SELECT count(*) FROM nodes", [], |row| codec::id(row, 0))?)).await.unwrap()
}

fn insert(db: &Connection, n: u64) -> Result<()> {
    let node = *blake3::hash(&n.to_le_bytes()).as_bytes();
    db.execute("INSERT INTO nodes VALUES (?, x'00', 1, x'00', 1, 1, 'test')", [node.as_slice()])?;
    Ok(())
}

#[tokio::test]
async fn an_act_that_is_refused_leaves_no_trace_and_its_group_goes_on() {
    let home = TempDir::new().unwrap();
    let store = open(&home);
    let acts = (0..100u64).map(|n| {
        store.write(move |db| {
            insert(db, n)?;
            if n % 3 == 0 { Err(Error::new(Code::BadOrder, "refused")) } else { Ok(()) }
        })
    });
    let done = futures::future::join_all(acts).await;
    assert_eq!(done.iter().filter(|result| result.is_err()).count(), 34);
    assert_eq!(count(&store).await, 66);
}

#[tokio::test]
async fn a_full_disk_refuses_what_does_not_fit_and_keeps_what_was_acknowledged() {
    let home = TempDir::new().unwrap();
    let store = open(&home);
    store.write(|db| insert(db, 0)).await.unwrap();
    let pages = |db: &Connection| -> Result<i64> { Ok(db.query_row("PRAGMA page_count", [], |row| row.get(0))?) };
    let full = store.read(pages).await.unwrap() + 4;
    store.write(move |db| Ok(db.query_row(&format!("PRAGMA max_page_count = {full}"), [], |_| Ok(()))?)).await.unwrap();
    let mut acknowledged = 1;
    let refusal = loop {
        match store.write(move |db| insert(db, acknowledged)).await {
            Ok(()) => acknowledged += 1,
            Err(error) => break error,
        }
        assert!(acknowledged < 100_000, "the disk never filled up");
    };
    assert_eq!(refusal.code, Code::DiskFull);
    assert_eq!(count(&store).await, acknowledged);
    // Every act of a group that the full disk took down is refused; none is half done.
    let acts = (0..50).map(|n| store.write(move |db| insert(db, 1_000_000 + n)));
    let done = futures::future::join_all(acts).await;
    assert_eq!(count(&store).await, acknowledged + done.iter().filter(|result| result.is_ok()).count() as u64);

    store.write(|db| Ok(db.query_row("PRAGMA max_page_count = 1000000", [], |_| Ok(()))?)).await.unwrap();
    store.write(|db| insert(db, 2_000_000)).await.expect("it goes on when there is room");
}

#[tokio::test]
async fn ledger_entries_cannot_be_changed_or_removed() {
    let home = TempDir::new().unwrap();
    let store = open(&home);
    store.follow_deposit(Address::repeat_byte(9), surge_protocol::Amount::tokens(1)).await.unwrap();
    for sql in ["UPDATE entries SET amount = '1'", "DELETE FROM entries"] {
        assert!(store.write(move |db| Ok(db.execute(sql, [])?)).await.is_err(), "{sql}");
    }
    assert_eq!(store.audit().await.unwrap().1, 0);
}

#[tokio::test]
async fn a_balance_that_is_not_the_sum_of_its_entries_is_found() {
    let home = TempDir::new().unwrap();
    let store = open(&home);
    store.follow_deposit(Address::repeat_byte(9), surge_protocol::Amount::tokens(1)).await.unwrap();
    store
        .write(|db| Ok(db.execute("UPDATE balances SET balance = '7' WHERE account LIKE 'available%'", [])?))
        .await
        .unwrap();
    assert_eq!(store.audit().await.unwrap_err().code, Code::StorageFailed);
}

#[test]
fn a_store_belongs_to_one_network_and_not_to_an_older_program() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("store.sqlite");
    drop(open(&home));
    let error = Store::open(&path, terms(5)).unwrap_err();
    assert!(error.message.contains("belongs to the network"), "{error}");
    Connection::open(&path).unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
    let error = Store::open(&path, terms(2)).unwrap_err();
    assert!(error.message.contains("use a newer program"), "{error}");
}
