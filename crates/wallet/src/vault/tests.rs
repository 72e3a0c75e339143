use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

/// A price that tests can pay a thousand times.
const CHEAP: Cost = Cost { memory_kib: 64, passes: 1, lanes: 1 };

/// A keychain in memory that fails when told to.
#[derive(Debug, Default)]
struct MemoryKeychain {
    entries: Mutex<BTreeMap<String, [u8; 32]>>,
    failure: Mutex<Option<KeychainError>>,
}

impl MemoryKeychain {
    fn fail(&self, failure: Option<KeychainError>) {
        *self.failure.lock().unwrap() = failure;
    }

    fn working(&self) -> Result<(), KeychainError> {
        self.failure.lock().unwrap().clone().map_or(Ok(()), Err)
    }
}

impl Keychain for MemoryKeychain {
    fn get(&self, name: &str) -> Result<Secret, KeychainError> {
        self.working()?;
        self.entries.lock().unwrap().get(name).copied().map(Secret::new).ok_or(KeychainError::NoEntry)
    }

    fn set(&self, name: &str, secret: &Secret) -> Result<(), KeychainError> {
        self.working()?;
        self.entries.lock().unwrap().insert(name.into(), **secret);
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<(), KeychainError> {
        self.working()?;
        self.entries.lock().unwrap().remove(name);
        Ok(())
    }
}

struct Place {
    folder: TempDir,
    keychain: Arc<MemoryKeychain>,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), keychain: Arc::default() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("wallet")
    }

    fn vault(&self) -> Vault {
        Vault::with_keychain(&self.path(), self.keychain.clone()).with_cost(CHEAP)
    }

    fn without_keychain(&self) -> Vault {
        Vault::with_keychain(&self.path(), Arc::new(NoKeychain)).with_cost(CHEAP)
    }

    fn file(&self) -> PathBuf {
        self.path().join("vault.json")
    }
}

fn pass(text: &str) -> SecretString {
    SecretString::from(text)
}

fn code<T: fmt::Debug>(result: Result<T, VaultError>) -> &'static str {
    result.unwrap_err().code()
}

#[test]
fn the_keychain_alone_unlocks_a_wallet() {
    let place = Place::new();
    let address = place.vault().create(None).unwrap().address();
    assert_eq!(place.vault().status().unwrap(), Some(Status { address, mode: Mode::Os }));
    assert_eq!(place.vault().unlock(None).unwrap().address(), address);
    assert_eq!(place.vault().unlock(Some(&pass("not needed"))).unwrap().address(), address);
}

#[test]
fn with_a_passphrase_both_are_needed() {
    let place = Place::new();
    let (right, wrong) = (pass("correct horse"), pass("correct house"));
    let address = place.vault().create(Some(&right)).unwrap().address();
    assert_eq!(place.vault().status().unwrap().unwrap().mode, Mode::OsAndPassphrase);
    assert_eq!(place.vault().unlock(Some(&right)).unwrap().address(), address);
    assert_eq!(code(place.vault().unlock(Some(&wrong))), "wallet_wrong_passphrase");
    assert_eq!(code(place.vault().unlock(None)), "wallet_passphrase_needed");
    place.keychain.entries.lock().unwrap().clear();
    assert_eq!(code(place.vault().unlock(Some(&right))), "keychain_no_entry");
}

#[test]
fn without_a_keychain_a_passphrase_is_required_and_enough() {
    let place = Place::new();
    let vault = place.without_keychain();
    assert_eq!(code(vault.create(None)), "wallet_passphrase_required");
    assert_eq!(code(vault.create(Some(&pass("")))), "wallet_passphrase_empty");
    assert_eq!(vault.status().unwrap(), None);
    let address = vault.create(Some(&pass("a passphrase"))).unwrap().address();
    assert_eq!(vault.status().unwrap(), Some(Status { address, mode: Mode::Passphrase }));
    assert_eq!(vault.unlock(Some(&pass("a passphrase"))).unwrap().address(), address);
    // A keychain that comes later changes nothing.
    assert_eq!(place.vault().unlock(Some(&pass("a passphrase"))).unwrap().address(), address);
}

#[test]
fn a_failing_keychain_is_never_replaced_by_something_weaker() {
    let place = Place::new();
    for failure in [KeychainError::Locked, KeychainError::Silent(60), KeychainError::Failed("it broke".into())] {
        place.keychain.fail(Some(failure.clone()));
        assert_eq!(code(place.vault().create(Some(&pass("a passphrase")))), failure.code());
        assert_eq!(place.vault().status().unwrap(), None);
    }
    place.keychain.fail(None);
    place.vault().create(None).unwrap();
    place.keychain.fail(Some(KeychainError::Locked));
    assert_eq!(code(place.vault().unlock(None)), "keychain_locked");
    assert_eq!(code(place.vault().create(None)), "wallet_exists");
}

#[test]
fn a_wallet_is_never_overwritten() {
    let place = Place::new();
    place.vault().create(None).unwrap();
    let before = std::fs::read(place.file()).unwrap();
    assert_eq!(code(place.vault().create(None)), "wallet_exists");
    assert_eq!(code(place.vault().import(&Words::random(), None)), "wallet_exists");
    assert_eq!(std::fs::read(place.file()).unwrap(), before);
    std::fs::write(place.file(), "damaged").unwrap();
    assert_eq!(code(place.vault().create(None)), "wallet_exists");
    std::fs::rename(place.file(), place.path().join("vault.json.bak")).unwrap();
    assert_eq!(code(place.vault().create(None)), "wallet_exists");
}

#[test]
fn a_wallet_that_another_process_is_making_is_left_alone() {
    let place = Place::new();
    let _other = place.vault().alone().unwrap();
    assert_eq!(code(place.vault().create(None)), "wallet_busy");
}

#[test]
fn another_logins_keychain_key_does_not_fit() {
    let place = Place::new();
    place.vault().create(None).unwrap();
    for secret in place.keychain.entries.lock().unwrap().values_mut() {
        *secret = [7; 32];
    }
    assert_eq!(code(place.vault().unlock(None)), "keychain_mismatch");
}

#[test]
fn words_come_back_and_bring_the_wallet_back_elsewhere() {
    let (here, there) = (Place::new(), Place::new());
    let passphrase = pass("a passphrase");
    let address = here.vault().create(Some(&passphrase)).unwrap().address();
    let phrase = here.vault().reveal_words(Some(&passphrase)).unwrap();
    assert_eq!(code(here.vault().reveal_words(Some(&pass("wrong")))), "wallet_wrong_passphrase");
    let words = Words::parse(&phrase).unwrap();
    assert_eq!(there.without_keychain().import(&words, Some(&passphrase)).unwrap().address(), address);
    let stored = std::fs::read_to_string(here.file()).unwrap();
    // "address" and "vault" may be among the words, and are in every file.
    let elsewhere = Place::new();
    elsewhere.vault().create(Some(&passphrase)).unwrap();
    let form = std::fs::read_to_string(elsewhere.file()).unwrap();
    let telling = phrase.expose_secret().split(' ').filter(|word| word.len() > 4 && !form.contains(word));
    let told: Vec<_> = telling.filter(|word| stored.contains(word)).collect();
    assert!(told.is_empty(), "{told:?} in {stored}");
}

#[test]
fn damage_is_told_from_a_wrong_passphrase() {
    let place = Place::new();
    let passphrase = pass("a passphrase");
    place.without_keychain().create(Some(&passphrase)).unwrap();
    let whole = std::fs::read_to_string(place.file()).unwrap();
    for damaged in [&whole[..whole.len() / 2], "", "{}", &whole.replacen("\"lanes\": 1", "\"lanes\": 2", 1)] {
        std::fs::write(place.file(), damaged).unwrap();
        assert_eq!(code(place.without_keychain().unlock(Some(&passphrase))), "wallet_damaged");
    }
    std::fs::write(place.file(), whole.replacen("\"version\": 1", "\"version\": 2", 1)).unwrap();
    assert_eq!(code(place.without_keychain().unlock(Some(&passphrase))), "wallet_newer");
}

#[test]
fn relocking_changes_the_passphrase_and_keeps_the_old_file_beside() {
    let place = Place::new();
    let (old, new) = (pass("the old one"), pass("the new one"));
    let vault = place.without_keychain();
    let address = vault.create(Some(&old)).unwrap().address();
    assert_eq!(code(vault.relock(Some(&new), Some(&new))), "wallet_wrong_passphrase");
    vault.relock(Some(&old), Some(&new)).unwrap();
    assert_eq!(code(vault.unlock(Some(&old))), "wallet_wrong_passphrase");
    assert_eq!(vault.unlock(Some(&new)).unwrap().address(), address);

    std::fs::remove_file(place.file()).unwrap();
    let lost = vault.unlock(Some(&new)).unwrap_err();
    assert!(lost.to_string().contains(".bak"), "{lost}");
    std::fs::rename(place.path().join("vault.json.bak"), place.file()).unwrap();
    assert_eq!(vault.unlock(Some(&old)).unwrap().address(), address);
}

#[test]
fn a_wallet_moves_into_the_keychain_when_there_is_one() {
    let place = Place::new();
    let passphrase = pass("a passphrase");
    let address = place.without_keychain().create(Some(&passphrase)).unwrap().address();
    place.vault().relock(Some(&passphrase), None).unwrap();
    assert_eq!(place.vault().status().unwrap().unwrap().mode, Mode::Os);
    assert_eq!(place.vault().unlock(None).unwrap().address(), address);
}

#[test]
fn destroying_needs_the_passphrase_and_leaves_nothing() {
    let place = Place::new();
    let passphrase = pass("a passphrase");
    place.vault().create(Some(&passphrase)).unwrap();
    assert_eq!(code(place.vault().destroy(Some(&pass("wrong")))), "wallet_wrong_passphrase");
    assert!(place.vault().status().unwrap().is_some());
    place.vault().destroy(Some(&passphrase)).unwrap();
    assert_eq!(place.vault().status().unwrap(), None);
    assert!(place.keychain.entries.lock().unwrap().is_empty());
}

#[test]
fn a_write_that_fails_leaves_no_keychain_entry_and_no_wallet() {
    let place = Place::new();
    // A folder stands where the file is first written.
    std::fs::create_dir_all(place.path().join("vault.json.tmp").join("in the way")).unwrap();
    assert_eq!(code(place.vault().create(None)), "wallet_io");
    assert_eq!(place.vault().status().unwrap(), None);
    assert!(place.keychain.entries.lock().unwrap().is_empty());
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_a_wallet() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    place.vault().create(None).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&place.file()), 0o600);
    assert_eq!(mode(&place.path()), 0o700);
}

#[test]
fn an_absurd_cost_is_damage_and_not_a_hang() {
    let sealed = sealed_with_passphrase();
    for cost in [
        Cost { memory_kib: u32::MAX, ..CHEAP },
        Cost { passes: u32::MAX, ..CHEAP },
        Cost { lanes: 1 << 20, ..CHEAP },
        Cost { memory_kib: 0, ..CHEAP },
    ] {
        let mut hostile = sealed.clone();
        hostile.header.cost = cost;
        let factors = Factors { os: None, passphrase: Some(&pass("a passphrase")) };
        assert_eq!(seal::open(&hostile, &factors).unwrap_err(), OpenError::Damaged);
    }
}

fn sealed_with_passphrase() -> Sealed {
    let place = Place::new();
    place.without_keychain().create(Some(&pass("a passphrase"))).unwrap();
    file::read(&place.path()).map_err(|_| "unreadable").unwrap()
}

/// Made once: sealing waits for the disk.
static SEALED: LazyLock<Sealed> = LazyLock::new(sealed_with_passphrase);
static WHOLE: LazyLock<(Address, Vec<u8>)> = LazyLock::new(|| {
    let place = Place::new();
    let address = place.without_keychain().create(Some(&pass("a passphrase"))).unwrap().address();
    (address, std::fs::read(place.file()).unwrap())
});

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// Whoever can write the file, digest and all, can at most make it useless.
    #[test]
    fn no_change_to_the_sealed_contents_opens(at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut bytes = serde_json::to_vec(&*SEALED).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(changed) = serde_json::from_slice::<Sealed>(&bytes) {
            prop_assume!(changed != *SEALED);
            let factors = Factors { os: None, passphrase: Some(&pass("a passphrase")) };
            prop_assert!(seal::open(&changed, &factors).is_err());
        }
    }

    /// Any damage to the file is an error or no change at all; never a panic, never another wallet.
    #[test]
    fn a_damaged_file_never_opens_as_another_wallet(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let place = Place::new();
        let (address, mut bytes) = WHOLE.clone();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        std::fs::create_dir(place.path()).unwrap();
        std::fs::write(place.file(), bytes).unwrap();
        match place.without_keychain().unlock(Some(&pass("a passphrase"))) {
            Ok(wallet) => prop_assert_eq!(wallet.address(), address),
            Err(error) => prop_assert!(["wallet_damaged", "wallet_newer"].contains(&error.code()), "{}", error.code()),
        }
    }
}
