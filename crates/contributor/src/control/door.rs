//! The socket's file: made at the start, and made again when somebody removes it.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use surge_platform::paths::{Paths, make_private_folder};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::peers::Access;

/// How often it is looked whether the file is still there.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// How long a system that can't open one more socket is waited for.
const RETRY: Duration = Duration::from_millis(100);

/// Listens until dropped; the file goes with it.
#[derive(Debug)]
pub(super) struct Door {
    socket: PathBuf,
    access: Access,
    listener: UnixListener,
    inode: Option<u64>,
    look_at: Instant,
    /// A look that is under way. The disk may take its time.
    looking: Option<JoinHandle<Option<u64>>>,
    /// It was said that no connection can be taken.
    failed: bool,
}

impl Door {
    pub(super) fn open(paths: &Paths, access: Access) -> io::Result<Self> {
        let (socket, listener) = first(paths, access)?;
        let inode = inode(&socket);
        Ok(Self { socket, access, listener, inode, look_at: Instant::now() + LOOK_EVERY, looking: None, failed: false })
    }

    /// The next one who asks. May be dropped before it ends.
    pub(super) async fn next(&mut self) -> UnixStream {
        loop {
            let found = async {
                match &mut self.looking {
                    Some(looking) => looking.await.ok(),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => return stream,
                    Err(error) => {
                        // That there are too many open files, say, passes: it is said once, and waited for.
                        if !std::mem::replace(&mut self.failed, true) {
                            tracing::warn!(%error, "The control socket can't be answered now; trying again");
                        }
                        tokio::time::sleep(RETRY).await;
                    }
                },
                found = found => {
                    self.looking = None;
                    if let Some(found) = found {
                        self.replace(found);
                    }
                }
                () = sleep_until(self.look_at) => {
                    self.look_at = Instant::now() + LOOK_EVERY;
                    if self.looking.is_none() {
                        let socket = self.socket.clone();
                        self.looking = Some(tokio::task::spawn_blocking(move || inode(&socket)));
                    }
                }
            }
        }
    }

    /// Makes the file again where `found` is not the one that was made.
    fn replace(&mut self, found: Option<u64>) {
        if found == self.inode {
            return;
        }
        match bind(&self.socket, self.access) {
            Ok(listener) => {
                tracing::warn!(socket = %self.socket.display(), "The control socket was removed; it is there again");
                self.listener = listener;
                self.inode = inode(&self.socket);
            }
            Err(error) => tracing::debug!(%error, "The control socket was removed, and can't be made again now"),
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // The next engine replaces a file that stays; it may have done so already, where it has the path of this one's home.
        if inode(&self.socket) == self.inode {
            let _ = fs::remove_file(&self.socket);
        }
    }
}

/// Listens at the first place where that is possible: a home may be on a file system without sockets.
fn first(paths: &Paths, access: Access) -> io::Result<(PathBuf, UnixListener)> {
    let mut failed = io::Error::other("the home's path is too long for a socket");
    for socket in paths.control_sockets() {
        match bind(&socket, access) {
            Ok(listener) => return Ok((socket, listener)),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// Listens at `socket`, in a folder that only this user can put anything into.
fn bind(socket: &Path, access: Access) -> io::Result<UnixListener> {
    let folder = socket.parent().ok_or_else(|| io::Error::other("a socket without a folder"))?;
    match access {
        Access::User { .. } => make_private_folder(folder)?,
        // systemd has made it.
        Access::Machine { .. } => fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o755))?,
    }
    let _ = fs::remove_file(socket);
    let listener = UnixListener::bind(socket)?;
    fs::set_permissions(socket, access.socket_permissions())?;
    Ok(listener)
}

fn inode(socket: &Path) -> Option<u64> {
    fs::symlink_metadata(socket).ok().map(|found| found.ino())
}
