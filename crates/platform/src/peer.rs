//! Who is at the other end of a local socket: what the kernel noted when they connected, never what they say.
//!
//! Deliberately absent: what they may do. The engine decides.

use std::io;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

mod session;

pub use session::{NoSession, ended as session_ended};

/// More supplementary groups than any user has; the kernel allows 65,536.
const GROUPS_AT_MOST: usize = 65_536;

/// The process that connected, and its user.
#[derive(Debug)]
pub struct Peer {
    pub uid: u32,
    /// Its group and all supplementary groups.
    pub groups: Vec<u32>,
    process: Option<Process>,
}

/// A process by its number, and by a descriptor that tells whether the number still means the same process.
#[derive(Debug)]
struct Process {
    pid: Pid,
    descriptor: OwnedFd,
}

impl Process {
    fn has_ended(&self) -> bool {
        let mut watched = [PollFd::new(&self.descriptor, PollFlags::IN)];
        !matches!(poll(&mut watched, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })), Ok(0))
    }
}

impl Peer {
    /// Asks the kernel who connected to `socket`.
    ///
    /// # Errors
    /// When it is no connected local socket.
    pub fn of(socket: &impl AsFd) -> io::Result<Self> {
        let mut credentials = [libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX }];
        if option(socket, libc::SO_PEERCRED, &mut credentials)? != size_of::<libc::ucred>() {
            return Err(io::Error::other("the kernel does not tell who connected"));
        }
        let [libc::ucred { pid, uid, gid }] = credentials;
        let mut groups = vec![gid];
        groups.extend(supplementary_groups(socket)?);
        Ok(Self { uid, groups, process: Pid::from_raw(pid).and_then(|pid| process(socket, pid)) })
    }

    /// A peer of which no process is known, and so no session.
    #[must_use]
    pub const fn without_process(uid: u32, groups: Vec<u32>) -> Self {
        Self { uid, groups, process: None }
    }

    /// The id of the login session that the process belongs to, which is its user's.
    ///
    /// # Errors
    /// When it belongs to none, to another user's, or has ended.
    pub fn session(&self) -> Result<String, NoSession> {
        let process = self.process.as_ref().ok_or(NoSession::Gone)?;
        let session = session::of(process.pid, self.uid);
        // Else the number may by now be another process's.
        if process.has_ended() {
            return Err(NoSession::Gone);
        }
        session
    }
}

/// The process behind `pid`. Before Linux 6.5 the number may already be another process's: what is read of it then is not
/// believed unless it fits the user, which the kernel noted.
fn process(socket: &impl AsFd, pid: Pid) -> Option<Process> {
    let mut number = [-1];
    let descriptor = match option(socket, libc::SO_PEERPIDFD, &mut number) {
        Ok(_) if number[0] >= 0 => owned(number[0]),
        _ => pidfd_open(pid, PidfdFlags::empty()).ok()?,
    };
    Some(Process { pid, descriptor })
}

#[expect(unsafe_code, reason = "the kernel hands a descriptor out as a number")]
fn owned(descriptor: i32) -> OwnedFd {
    // SAFETY: SO_PEERPIDFD has just made this descriptor for us, and nobody else knows its number.
    unsafe { OwnedFd::from_raw_fd(descriptor) }
}

fn supplementary_groups(socket: &impl AsFd) -> io::Result<Vec<u32>> {
    let mut groups = vec![0_u32; 64];
    loop {
        match option(socket, libc::SO_PEERGROUPS, &mut groups) {
            Ok(bytes) => {
                groups.truncate(bytes / size_of::<u32>());
                return Ok(groups);
            }
            Err(error) if error.raw_os_error() == Some(libc::ERANGE) && groups.len() < GROUPS_AT_MOST => {
                groups.resize(groups.len() * 4, 0);
            }
            Err(error) => return Err(error),
        }
    }
}

/// Plain values of the kernel's, of which any bits are one.
trait Plain {}
impl Plain for u32 {}
impl Plain for i32 {}
impl Plain for libc::ucred {}

/// Reads an option of the socket into `values`, and returns how many bytes it has.
#[expect(unsafe_code, reason = "there is no safe form of this call for these options")]
fn option<T: Plain>(socket: &impl AsFd, name: i32, values: &mut [T]) -> io::Result<usize> {
    let mut length = libc::socklen_t::try_from(size_of_val(values)).map_err(io::Error::other)?;
    // SAFETY: the descriptor is open as long as it is borrowed; the kernel writes at most `length` bytes, which is the size
    // of `values`, and any bits are a valid `T`.
    let failed = unsafe {
        let to = values.as_mut_ptr().cast();
        libc::getsockopt(socket.as_fd().as_raw_fd(), libc::SOL_SOCKET, name, to, &raw mut length)
    };
    if failed == 0 { Ok(length as usize) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn the_kernel_tells_who_connected() {
        let (here, _there) = UnixStream::pair().unwrap();
        let peer = Peer::of(&here).unwrap();
        assert_eq!(peer.uid, rustix::process::getuid().as_raw());
        assert_eq!(peer.groups[0], rustix::process::getgid().as_raw());
        let mut mine: Vec<_> =
            rustix::process::getgroups().unwrap().into_iter().map(rustix::process::Gid::as_raw).collect();
        let mut seen = peer.groups[1..].to_vec();
        mine.sort_unstable();
        seen.sort_unstable();
        assert_eq!(seen, mine);
        assert!(!peer.process.unwrap().has_ended());
    }

    #[test]
    fn a_process_that_has_ended_is_no_longer_asked_for_its_session() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = Pid::from_child(&child);
        let descriptor = pidfd_open(pid, PidfdFlags::empty()).unwrap();
        child.wait().unwrap();
        let peer = Peer { uid: 0, groups: Vec::new(), process: Some(Process { pid, descriptor }) };
        assert!(matches!(peer.session(), Err(NoSession::Gone)));
    }

    #[test]
    fn what_is_no_local_socket_is_nobody() {
        assert!(Peer::of(&std::fs::File::open("/dev/null").unwrap()).is_err());
    }
}
