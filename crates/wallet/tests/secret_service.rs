//! The vault with a real Secret Service: GNOME Keyring on a message bus of its own.
//!
//! This program plays both parts: it starts itself again inside that bus. Where the programs are missing it says so.

#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

#[cfg(target_os = "linux")]
mod linux {
    use std::path::Path;
    use std::process::Command;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use secrecy::SecretString;
    use secret_service::EncryptionType;
    use secret_service::blocking::SecretService;
    use surge_wallet::vault::{Cost, SystemKeychain};
    use surge_wallet::{Mode, Vault, VaultError};
    use tempfile::tempdir;

    const PART: &str = "SURGE_SECRET_SERVICE_PART";
    const CHEAP: Cost = Cost { memory_kib: 64, passes: 1, lanes: 1 };
    /// What a locked keychain may take to say so, or to be given up.
    const PATIENCE: Duration = Duration::from_secs(8);

    pub(crate) fn main() {
        match std::env::var(PART).as_deref() {
            Ok("unlocked") => with_an_unlocked_keyring(),
            Ok("bare") => with_a_service_that_has_no_keyring(),
            Ok("absent") => without_a_message_bus(),
            _ => outside(),
        }
    }

    fn outside() {
        for program in ["dbus-run-session", "gnome-keyring-daemon"] {
            let found = std::env::split_paths(&std::env::var_os("PATH").unwrap()).any(|dir| dir.join(program).exists());
            if !found {
                println!("skipped: {program} is not installed (Debian: dbus, gnome-keyring)");
                return;
            }
        }
        inside_a_bus("unlocked", "printf test | gnome-keyring-daemon --unlock --components=secrets >/dev/null");
        println!("test with_an_unlocked_keyring ... ok");
        inside_a_bus("bare", "gnome-keyring-daemon --start --components=secrets >/dev/null");
        println!("test with_a_service_that_has_no_keyring ... ok");
        let home = tempdir().unwrap();
        passes(&mut isolated(&std::env::current_exe().unwrap(), home.path(), "absent"));
        println!("test without_a_message_bus ... ok\n\ntest result: ok. 3 passed; 0 failed");
    }

    /// Runs a part of this program after `start`, on a bus and in a home of its own.
    fn inside_a_bus(part: &str, start: &str) {
        let home = tempdir().unwrap();
        let script = format!("{start} 2>/dev/null; exec \"$0\"");
        let mut session = isolated(Path::new("dbus-run-session"), home.path(), part);
        passes(session.args(["--", "sh", "-c", &script]).arg(std::env::current_exe().unwrap()));
    }

    /// The bus and the prompter are talkative: what they say is shown when something is wrong.
    fn passes(command: &mut Command) {
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    }

    fn isolated(program: &Path, home: &Path, part: &str) -> Command {
        let mut command = Command::new(program);
        command.env_remove("DBUS_SESSION_BUS_ADDRESS").env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY");
        for name in ["HOME", "XDG_RUNTIME_DIR", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"] {
            command.env(name, home);
        }
        command.env(PART, part);
        command
    }

    fn vault(folder: &Path) -> Vault {
        Vault::with_keychain(folder, Arc::new(SystemKeychain { patience: PATIENCE })).with_cost(CHEAP)
    }

    fn with_an_unlocked_keyring() {
        let (folder, other) = (tempdir().unwrap(), tempdir().unwrap());
        let passphrase = SecretString::from("a passphrase");
        let address = vault(folder.path()).create(None).unwrap().address();
        assert_eq!(vault(folder.path()).status().unwrap().unwrap().mode, Mode::Os);
        assert_eq!(vault(folder.path()).unlock(None).unwrap().address(), address);

        let second = vault(other.path()).create(Some(&passphrase)).unwrap().address();
        assert_eq!(vault(other.path()).status().unwrap().unwrap().mode, Mode::OsAndPassphrase);
        assert_eq!(vault(other.path()).unlock(Some(&passphrase)).unwrap().address(), second);
        assert_eq!(vault(folder.path()).unlock(None).unwrap().address(), address, "vaults share no entry");
        vault(other.path()).destroy(Some(&passphrase)).unwrap();
        assert_eq!(vault(folder.path()).unlock(None).unwrap().address(), address, "only its own entry is removed");

        lock_the_keyring();
        let asked = Instant::now();
        let error = vault(folder.path()).unlock(None).unwrap_err();
        assert!(["keychain_locked", "keychain_silent"].contains(&error.code()), "{error:?}");
        assert!(asked.elapsed() < 10 * PATIENCE);
        let error = vault(other.path()).create(Some(&passphrase)).unwrap_err();
        assert!(["keychain_locked", "keychain_silent"].contains(&error.code()), "{error:?}");
        assert_eq!(vault(other.path()).status().unwrap(), None, "a locked keychain is not replaced by a passphrase");
    }

    fn lock_the_keyring() {
        let service = SecretService::connect(EncryptionType::Plain).unwrap();
        let keyring = service.get_default_collection().unwrap();
        keyring.lock().unwrap();
        assert!(keyring.is_locked().unwrap());
    }

    fn with_a_service_that_has_no_keyring() {
        no_keychain_to_use();
    }

    fn without_a_message_bus() {
        no_keychain_to_use();
    }

    fn no_keychain_to_use() {
        let folder = tempdir().unwrap();
        let error = vault(folder.path()).create(None).unwrap_err();
        assert!(matches!(error, VaultError::PassphraseRequired(_)), "{error:?}");
        let passphrase = SecretString::from("a passphrase");
        let address = vault(folder.path()).create(Some(&passphrase)).unwrap().address();
        assert_eq!(vault(folder.path()).status().unwrap().unwrap().mode, Mode::Passphrase);
        assert_eq!(vault(folder.path()).unlock(Some(&passphrase)).unwrap().address(), address);
    }
}

#[cfg(target_os = "linux")]
fn main() {
    linux::main();
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("skipped: only Linux has a Secret Service");
}
