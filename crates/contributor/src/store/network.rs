//! The store as the attached network sees it: its own leases and results, and no other network's.
//!
//! What belongs to another network stays until that one is attached again: a coordinator knows only its own leases, and would
//! refuse the results of others for good.

use std::fmt;
use std::sync::{Arc, Mutex};

use rusqlite::{Transaction, params};
use surge_protocol::network::Network;
use surge_protocol::{Address, Amount};

use super::results::read_result;
use super::{REMEMBER, Store, StoreError};
use crate::clock::unix_now;

/// Which network something belongs to, as a CAIP-10 account: its settlement contract on its chain, which is what its
/// signatures are made for. A network that gets a new URL, fee or name keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NetworkId(pub(super) String);

impl NetworkId {
    /// Of what an older version stored, and of results that were found in the bytes of a damaged database.
    pub(super) const UNKNOWN: &'static str = "";
}

impl From<&Network> for NetworkId {
    fn from(network: &Network) -> Self {
        Self(format!("eip155:{}:{}", network.chain_id, network.settlement))
    }
}

impl fmt::Display for NetworkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What the store holds of one network.
#[derive(Debug)]
pub(crate) struct NetworkStore {
    pub(super) home: Arc<Store>,
    pub(super) id: NetworkId,
    network: Network,
    /// The address of the key that signs this device's results.
    device: Address,
    /// The day, and what was credited at its start.
    pub(super) day: Mutex<Option<(String, Amount)>>,
}

impl NetworkStore {
    pub(crate) fn new(home: Arc<Store>, network: Network, device: Address) -> Self {
        Self { home, id: NetworkId::from(&network), network, device, day: Mutex::default() }
    }

    /// What is not one network's: all that the home's database holds.
    pub(crate) fn home(&self) -> &Store {
        &self.home
    }

    /// Remembers the network's name, and takes over what belongs to it by all that is known: leases of an older version, which
    /// knew one network, and results that this device signed for it.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn claim(&self) -> Result<(), StoreError> {
        let mut db = self.home.db();
        let all = db.transaction()?;
        all.execute("INSERT OR REPLACE INTO networks (id, name) VALUES (?, ?)", [&self.id.0, &self.network.name])?;
        all.execute("UPDATE leases SET network = ? WHERE network = ?", [&self.id.0, NetworkId::UNKNOWN])?;
        for lease in self.signed_here(&all)? {
            all.execute("UPDATE results SET network = ? WHERE lease = ?", [&self.id.0, &lease])?;
        }
        // Leases of a network that nobody attaches again must not stay for ever. Those of this one are its coordinator's to end.
        let old = unix_now().saturating_sub(REMEMBER).cast_signed();
        all.execute("DELETE FROM leases WHERE network <> ? AND deadline < ?", params![self.id.0, old])?;
        Ok(all.commit()?)
    }

    /// The leases of results of an unknown network whose signatures hold in this one. A result that can't be read is among
    /// them: it is set aside with this network's.
    fn signed_here(&self, db: &Transaction<'_>) -> Result<Vec<String>, StoreError> {
        let mut query = db.prepare("SELECT lease, signed FROM results WHERE state = 'waiting' AND network = ?")?;
        let rows = query.query_map([NetworkId::UNKNOWN], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let rows = rows.collect::<Result<Vec<(String, String)>, _>>()?;
        let domain = self.network.domain();
        let ours = |text: &str| match read_result(text) {
            Ok(waiting) => {
                let message = waiting.signed.result.message();
                waiting.signed.signature.verify(&message, &domain, self.device).is_ok()
            }
            Err(_) => true,
        };
        Ok(rows.into_iter().filter(|(_, text)| ours(text)).map(|(lease, _)| lease).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rusqlite::Connection;
    use surge_protocol::Digest;
    use surge_protocol::api::SignedResult;

    use super::super::{MIGRATIONS, Undelivered, salvage};
    use super::*;
    use crate::store::tests::{a_lease, a_network, device, result, store_of};

    /// A result with the signature that it has in network `of`.
    fn signed(n: u8, of: u8) -> SignedResult {
        let result = result(n).result;
        SignedResult { signature: device().sign(&result.message(), &a_network(of).domain()), result }
    }

    fn waiting(store: &NetworkStore) -> Vec<u8> {
        store.waiting().unwrap().iter().map(|waiting| waiting.signed.result.lease.0[0]).collect()
    }

    /// The database of a version that knew one network, with a lease and two results.
    fn older(path: &Path) {
        let db = Connection::open(path).unwrap();
        MIGRATIONS[..3].iter().for_each(|sql| db.execute_batch(sql).unwrap());
        db.pragma_update(None, "user_version", 3).unwrap();
        let lease = a_lease(9);
        let body = serde_json::to_string(&lease).unwrap();
        db.execute("INSERT INTO leases VALUES (?, ?, 1, 1)", params![lease.lease.to_string(), body]).unwrap();
        for (n, of) in [(1, 1), (2, 2)] {
            let text = serde_json::to_string(&signed(n, of)).unwrap();
            let values = params![Digest([n; 32]).to_string(), text, Digest([n; 32]).to_string()];
            db.execute("INSERT INTO results VALUES (?, ?, ?, 1, 'waiting', '')", values).unwrap();
        }
    }

    fn leases(store: &NetworkStore) -> usize {
        store.recorded().unwrap().recorded.len()
    }

    #[test]
    fn what_an_older_version_stored_goes_to_the_network_whose_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("engine.sqlite");
        older(&path);
        let first = store_of(1, &path);
        assert_eq!((waiting(&first), leases(&first)), (vec![], 0));
        first.claim().unwrap();
        assert_eq!((waiting(&first), leases(&first)), (vec![1], 1));
        let second = store_of(2, &path);
        second.claim().unwrap();
        assert_eq!((waiting(&second), leases(&second)), (vec![2], 0));
        assert_eq!(waiting(&first), [1]);
    }

    #[test]
    fn a_damaged_database_of_an_older_version_loses_no_lease_and_no_result() {
        let folder = tempfile::tempdir().unwrap();
        let (old, path) = (folder.path().join("old.sqlite"), folder.path().join("engine.sqlite"));
        older(&old);
        let store = store_of(1, &path);
        salvage::copy_rows(&old, &store.home);
        store.claim().unwrap();
        assert_eq!((waiting(&store), leases(&store)), (vec![1], 1));
    }

    #[test]
    fn a_result_that_is_found_in_the_bytes_waits_for_the_network_that_it_was_signed_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("engine.sqlite");
        let store = store_of(2, &path);
        for n in 1..=2 {
            store.home.keep(NetworkId::UNKNOWN, &signed(n, 1), 1).unwrap();
        }
        store.claim().unwrap();
        assert_eq!(waiting(&store), [0; 0]);
        let unknown = |results| Undelivered { network: NetworkId(String::new()), name: String::new(), results };
        assert_eq!(store.home.count_waiting().unwrap(), [unknown(2)]);
        let store = store_of(1, &path);
        store.claim().unwrap();
        assert_eq!(waiting(&store), [1, 2]);
        store.delivered(Digest([1; 32])).unwrap();
        let network = NetworkId::from(&a_network(1));
        assert_eq!(
            store.home.count_waiting().unwrap(),
            [Undelivered { network, name: "network 1".into(), results: 1 }]
        );
    }

    #[test]
    fn what_waits_is_lost_neither_by_a_new_url_nor_by_a_new_name() {
        let folder = tempfile::tempdir().unwrap();
        let store = store_of(1, &folder.path().join("engine.sqlite"));
        store.claim().unwrap();
        store.finish(&signed(1, 1), 1).unwrap();
        let moved = Network { name: "moved".into(), coordinators: vec!["http://a".into()], fee_bps: 9, ..a_network(1) };
        let moved = NetworkStore::new(store.home, moved, device().address());
        moved.claim().unwrap();
        assert_eq!(waiting(&moved), [1]);
        assert_eq!(moved.home.count_waiting().unwrap()[0].name, "moved");
    }

    #[test]
    fn a_network_ends_and_closes_nothing_of_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("engine.sqlite");
        let [first, second] = [1, 2].map(|n| store_of(n, &path));
        first.begin(&a_lease(5), unix_now()).unwrap();
        first.finish(&signed(6, 1), 1).unwrap();
        second.end(Digest([5; 32])).unwrap();
        second.refused(Digest([6; 32]), "unknown_lease").unwrap();
        assert_eq!((leases(&first), waiting(&first)), (1, vec![6]));
        assert_eq!(second.waiting_for(Digest([6; 32])).unwrap(), None);
        for taken in [5, 6] {
            let error = second.begin(&a_lease(taken), unix_now()).unwrap_err();
            assert!(error.to_string().contains("gave a lease with the name of one of"), "{error}");
        }
    }

    #[test]
    fn leases_of_a_network_that_never_came_back_go_a_month_after_their_deadline() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("engine.sqlite");
        let [first, second] = [1, 2].map(|n| store_of(n, &path));
        for (n, age) in [(1, REMEMBER + 7_200), (2, 7_200)] {
            first.begin(&a_lease(n), unix_now() - age).unwrap();
        }
        first.claim().unwrap();
        assert_eq!(leases(&first), 2, "its coordinator knows");
        second.claim().unwrap();
        assert_eq!(leases(&first), 1);
    }

    #[test]
    fn the_day_of_each_network_has_its_own_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("engine.sqlite");
        let [first, second] = [1, 2].map(|n| store_of(n, &path));
        let today = |store: &NetworkStore, credited| store.credited_today("2026-11-22", Amount(credited)).unwrap().0;
        assert_eq!((today(&first, 500), today(&second, 20)), (0, 0));
        assert_eq!((today(&first, 501), today(&second, 23)), (1, 3));
        assert_eq!(today(&store_of(1, &path), 502), 2, "also after another one was attached");
    }
}
