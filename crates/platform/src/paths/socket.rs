//! Where an engine's control socket is, and how whoever connects knows that nobody else put it there.
//!
//! A socket's path has at most 107 bytes, and a home folder may be deeper than that or on a file system without sockets.
//! So the socket is outside of the home where the system has a folder for sockets, by a name that belongs to the home.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::Paths;

/// The longest path of a socket, bytes: `sockaddr_un` has 108 with the zero at the end.
const LONGEST: usize = 107;

/// Where the system service's is, which all users may open: systemd makes the folder.
const SYSTEM: &str = "/run/surge/engine.sock";

/// What the place of a socket depends on, besides the home.
struct Surroundings {
    /// `XDG_RUNTIME_DIR`.
    runtime: Option<PathBuf>,
    /// Where systemd makes the runtime folders of users: `/run/user`.
    runtimes: PathBuf,
    /// `/tmp`.
    temporary: PathBuf,
}

impl Surroundings {
    fn here() -> Self {
        Self {
            runtime: std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|folder| folder.is_absolute()),
            runtimes: "/run/user".into(),
            temporary: "/tmp".into(),
        }
    }
}

impl Paths {
    /// The control socket of an engine that this process starts.
    #[must_use]
    pub fn control_socket(&self) -> PathBuf {
        let own = rustix::process::geteuid().as_raw();
        let mut sockets = sockets(&self.home, own, &Surroundings::here());
        sockets.swap_remove(0)
    }

    /// The folder of [`Self::control_socket`], 0700.
    #[must_use]
    pub fn run(&self) -> PathBuf {
        let socket = self.control_socket();
        socket.parent().map_or_else(|| self.home.join("run"), Path::to_owned)
    }

    /// Every place where an engine of this home may listen, the likeliest first. An engine that was started without
    /// `XDG_RUNTIME_DIR`, as by cron, or that belongs to another user, of whom root asks, listens elsewhere than one that
    /// this process would start. An engine that can't listen at the first place, such as on a file system without sockets,
    /// takes the next.
    #[must_use]
    pub fn control_sockets(&self) -> Vec<PathBuf> {
        let surroundings = Surroundings::here();
        let own = rustix::process::geteuid().as_raw();
        let mut places = Vec::new();
        for user in [self.owner(), own] {
            for socket in sockets(&self.home, user, &surroundings) {
                if !places.contains(&socket) {
                    places.push(socket);
                }
            }
        }
        places
    }

    /// The user who owns the home, whose engine is the one that belongs to it; this process's user before there is a home.
    #[must_use]
    pub fn owner(&self) -> u32 {
        fs::metadata(&self.home).map_or_else(|_| rustix::process::geteuid().as_raw(), |home| home.uid())
    }
}

/// The places for the socket of an engine of `home` that runs as `user`, at least one, the best first.
fn sockets(home: &Path, user: u32, surroundings: &Surroundings) -> Vec<PathBuf> {
    if home == Path::new(super::SYSTEM_HOME) {
        return vec![SYSTEM.into()];
    }
    // The same home by another way is the same home.
    let given = home;
    let home = fs::canonicalize(home).unwrap_or_else(|_| home.to_owned());
    let name = format!("{:016x}.sock", hash(home.as_os_str().as_bytes()));
    let systemd = surroundings.runtimes.join(user.to_string());
    let runtime = [surroundings.runtime.as_ref(), Some(&systemd)].into_iter().flatten();
    let runtime = runtime.filter(|folder| check_private_folder(folder, user).is_ok());
    let mut places: Vec<PathBuf> = runtime.map(|folder| folder.join("surge").join(&name)).collect();
    places.push(home.join("run/control.sock"));
    // What a path through `/proc/PID/root` leads to is not what it reads like: that is another machine's root, or container's.
    places.push(given.join("run/control.sock"));
    places.push(surroundings.temporary.join(format!("surge-{user}")).join(&name));
    places.dedup();
    places.retain(|place| place.as_os_str().len() <= LONGEST);
    places
}

/// FNV-1a, 64 bits: short, and the same in every version of this program.
fn hash(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

/// Makes a folder that only this user can look into, or takes away what others may do there.
///
/// # Errors
/// When it can't be made, is a link, or belongs to somebody else: then what is in it can't be trusted.
pub fn make_private_folder(folder: &Path) -> io::Result<()> {
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let found = fs::symlink_metadata(folder)?;
    let own = rustix::process::geteuid().as_raw();
    if found.is_dir() && found.uid() == own && found.mode() & 0o077 != 0 {
        fs::set_permissions(folder, Permissions::from_mode(0o700))?;
    }
    check_private_folder(folder, own)
}

/// Checks that `folder` is one into which only `owner` and root can look, so that nobody else put a socket there. Whoever
/// connects to one does so first.
///
/// # Errors
/// `NotFound` where there is none; `PermissionDenied` when it is a link, no folder, another user's, or open to others.
pub fn check_private_folder(folder: &Path, owner: u32) -> io::Result<()> {
    let found = fs::symlink_metadata(folder)?;
    let wrong = if !found.is_dir() {
        "is not a folder"
    } else if found.uid() != owner {
        "belongs to another user"
    } else if found.mode() & 0o077 != 0 {
        "is open to others"
    } else {
        return Ok(());
    };
    Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("{} {wrong}", folder.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A system's folders, below a temporary one; this user is the one who owns them.
    struct System {
        folder: tempfile::TempDir,
        user: u32,
    }

    impl System {
        fn new() -> Self {
            // Its path is short, so that a test decides which paths are too long.
            let folder = tempfile::Builder::new().prefix("s").tempdir_in("/tmp").unwrap();
            Self { folder, user: rustix::process::geteuid().as_raw() }
        }

        fn folder(&self, name: &str, mode: u32) -> PathBuf {
            let path = self.folder.path().join(name);
            fs::create_dir_all(&path).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            path
        }

        fn sockets(&self, home: &Path, runtime: Option<&Path>) -> Vec<PathBuf> {
            let place = |name| self.folder.path().join(name);
            let surroundings = Surroundings {
                runtime: runtime.map(Path::to_owned),
                runtimes: place("users"),
                temporary: place("tmp"),
            };
            sockets(home, self.user, &surroundings)
        }
    }

    #[test]
    fn the_socket_is_in_the_runtime_folder_by_a_name_that_belongs_to_the_home() {
        let system = System::new();
        let (one, two, runtime) = (system.folder("a", 0o700), system.folder("b", 0o700), system.folder("r", 0o700));
        let first = system.sockets(&one, Some(&runtime));
        assert_eq!(first[0].parent(), Some(runtime.join("surge").as_path()));
        assert_ne!(first[0], system.sockets(&two, Some(&runtime))[0], "several homes have a socket each");
        let link = system.folder.path().join("link");
        std::os::unix::fs::symlink(&one, &link).unwrap();
        assert_eq!(first[0], system.sockets(&link, Some(&runtime))[0], "by whichever way the home is named");
    }

    #[test]
    fn the_system_service_has_its_socket_where_all_may_look() {
        let system = crate::paths::Paths::system();
        assert!(system.is_system());
        assert_eq!(system.control_sockets(), [PathBuf::from("/run/surge/engine.sock")]);
        assert!(!crate::paths::Paths { home: "/home/alice/.local/share/surge".into() }.is_system());
    }

    #[test]
    fn who_was_started_without_the_variable_finds_the_same_place() {
        let system = System::new();
        let home = system.folder("a", 0o700);
        let runtime = system.folder(&format!("users/{}", system.user), 0o700);
        assert_eq!(system.sockets(&home, None), system.sockets(&home, Some(&runtime)));
    }

    #[test]
    fn a_runtime_folder_that_is_missing_open_or_a_link_is_not_used() {
        let system = System::new();
        let home = system.folder("a", 0o700);
        let in_home = home.join("run/control.sock");
        assert_eq!(system.sockets(&home, None)[0], in_home);
        assert_eq!(system.sockets(&home, Some(&system.folder.path().join("missing")))[0], in_home);
        assert_eq!(system.sockets(&home, Some(&system.folder("open", 0o777)))[0], in_home);
        let link = system.folder.path().join("link");
        std::os::unix::fs::symlink(system.folder("real", 0o700), &link).unwrap();
        assert_eq!(system.sockets(&home, Some(&link))[0], in_home);
    }

    #[test]
    fn no_place_is_longer_than_a_socket_may_be() {
        let system = System::new();
        for length in (1..=255).step_by(7) {
            let home = system.folder(&"h".repeat(length), 0o700);
            for runtime in [None, Some(system.folder(&"r".repeat(length), 0o700))] {
                let sockets = system.sockets(&home, runtime.as_deref());
                assert!(!sockets.is_empty(), "there is always a place");
                for socket in sockets {
                    assert!(socket.as_os_str().len() <= LONGEST, "{}", socket.display());
                }
            }
        }
        let deep = system.folder(&format!("{0}/{0}", "h".repeat(100)), 0o700);
        let socket = &system.sockets(&deep, None)[0];
        make_private_folder(socket.parent().unwrap()).unwrap();
        std::os::unix::net::UnixListener::bind(socket).expect("the system takes it");
    }

    #[test]
    fn a_private_folder_is_made_and_tightened_and_never_a_strangers() {
        let system = System::new();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        let made = system.folder.path().join("deep/made");
        make_private_folder(&made).unwrap();
        assert_eq!(mode(&made), 0o700);
        let open = system.folder("open", 0o777);
        assert!(check_private_folder(&open, system.user).is_err());
        make_private_folder(&open).unwrap();
        assert_eq!(mode(&open), 0o700);
        assert!(check_private_folder(&open, system.user).is_ok());
        assert!(check_private_folder(&open, system.user + 1).is_err(), "another user's");

        let link = system.folder.path().join("link");
        std::os::unix::fs::symlink(&open, &link).unwrap();
        assert!(make_private_folder(&link).is_err(), "what a link leads to is somebody's choice");
        let file = system.folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(make_private_folder(&file).is_err());
        let missing = check_private_folder(&system.folder.path().join("missing"), system.user);
        assert_eq!(missing.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
