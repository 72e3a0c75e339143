//! Connections to X servers. Every wait has a bound, so that a server that accepts and says nothing is given up.
//!
//! Deliberately absent: what is asked of the server, and which server it is.

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use thiserror::Error;
use x11rb::errors::{ConnectError, ConnectionError, ReplyError, ReplyOrIdError};
use x11rb::reexports::x11rb_protocol::parse_display::{ConnectAddress, ParsedDisplay, parse_display};
use x11rb::reexports::x11rb_protocol::xauth::Family;
use x11rb::rust_connection::{DefaultStream, PollMode, RustConnection, Stream};
use x11rb::utils::RawFdContainer;

mod authority;

/// A server that takes longer to answer counts as hung.
const ANSWER: Duration = Duration::from_secs(2);

/// Why a display can't be watched. Each text goes on where "the display :0" ends.
#[derive(Debug, Error)]
pub(crate) enum X11Error {
    #[error("is no name of a display")]
    Name,
    #[error("does not answer")]
    Silent,
    #[error("can't be reached: {0}")]
    Unreachable(io::Error),
    #[error("can't be reached: {0}")]
    Refused(ConnectError),
    #[error("broke the connection: {0}")]
    Connection(ConnectionError),
    #[error("answered with an error: {0}")]
    Reply(String),
    #[error("has neither an IDLETIME counter nor a screen saver")]
    NoCounter,
    #[error("is XWayland, which does not see input to native windows")]
    XWayland,
    #[error("can't be waited for: {0}")]
    Poll(#[from] rustix::io::Errno),
}

impl From<io::Error> for X11Error {
    fn from(error: io::Error) -> Self {
        if is_silence(&error) { Self::Silent } else { Self::Unreachable(error) }
    }
}

impl From<ConnectError> for X11Error {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::IoError(error) => error.into(),
            error => Self::Refused(error),
        }
    }
}

impl From<ConnectionError> for X11Error {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::IoError(error) if is_silence(&error) => Self::Silent,
            error => Self::Connection(error),
        }
    }
}

impl From<ReplyError> for X11Error {
    fn from(error: ReplyError) -> Self {
        match error {
            ReplyError::ConnectionError(error) => error.into(),
            error @ ReplyError::X11Error(_) => Self::Reply(error.to_string()),
        }
    }
}

impl From<ReplyOrIdError> for X11Error {
    fn from(error: ReplyOrIdError) -> Self {
        match error {
            ReplyOrIdError::ConnectionError(error) => error.into(),
            error => Self::Reply(error.to_string()),
        }
    }
}

fn is_silence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock)
}

/// Which server, and the file with the secret that it asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct XDisplay {
    /// As `DISPLAY` has it: `:0`.
    pub(crate) name: String,
    /// As `XAUTHORITY` has it; `None` where no secret is known.
    pub(crate) authority: Option<PathBuf>,
}

pub(crate) type XConnection = RustConnection<BoundedStream>;

/// Connects within a few seconds, or not at all. The number is the screen's.
pub(crate) fn connect(display: &XDisplay) -> Result<(XConnection, usize), X11Error> {
    let parsed = parse_display(Some(&display.name)).map_err(|_| X11Error::Name)?;
    let (stream, (family, host)) = reach(&parsed)?;
    let secret = display.authority.as_deref().and_then(|file| authority::secret(file, family, &host, parsed.display));
    let (name, data) = secret.unwrap_or_default();
    let stream = BoundedStream { stream, until: std::sync::Mutex::new(Some(Instant::now() + ANSWER)) };
    let screen = parsed.screen.into();
    let connection = RustConnection::connect_to_stream_with_auth_info(stream, screen, name, data)?;
    connection.stream().wait_for_each_answer();
    Ok((connection, screen))
}

/// Tries the addresses that the name stands for.
fn reach(parsed: &ParsedDisplay) -> Result<(DefaultStream, (Family, Vec<u8>)), X11Error> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in parsed.connect_instruction() {
        let reached = match address {
            ConnectAddress::Socket(path) => {
                crate::sockets::connect(Path::new(&path)).and_then(DefaultStream::from_unix_stream)
            }
            ConnectAddress::Hostname(host, port) => over_network(host, port).and_then(DefaultStream::from_tcp_stream),
            _ => continue,
        };
        match reached {
            Ok(reached) => return Ok(reached),
            // A server that is there and hangs says more than the absence of another.
            Err(error) if is_silence(&last) => drop(error),
            Err(error) => last = error,
        }
    }
    Err(last.into())
}

fn over_network(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut last = io::ErrorKind::NotFound.into();
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, ANSWER) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// A stream whose waits end with `TimedOut`.
#[derive(Debug)]
pub(crate) struct BoundedStream {
    stream: DefaultStream,
    /// When all waiting must be over: set while the connection is set up, so that a server can't spin it out byte by
    /// byte.
    until: std::sync::Mutex<Option<Instant>>,
}

impl BoundedStream {
    fn wait_for_each_answer(&self) {
        *self.until.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = None;
    }

    fn patience(&self) -> Duration {
        let until = *self.until.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        until.map_or(ANSWER, |until| until.saturating_duration_since(Instant::now()))
    }
}

impl std::os::fd::AsFd for BoundedStream {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

impl Stream for BoundedStream {
    fn poll(&self, mode: PollMode) -> io::Result<()> {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN, mode.readable());
        flags.set(PollFlags::OUT, mode.writable());
        let patience = self.patience();
        let timeout =
            Timespec { tv_sec: patience.as_secs().cast_signed(), tv_nsec: i64::from(patience.subsec_nanos()) };
        match poll(&mut [PollFd::new(&self.stream, flags)], Some(&timeout)) {
            Ok(0) => Err(io::ErrorKind::TimedOut.into()),
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn read(&self, buffer: &mut [u8], descriptors: &mut Vec<RawFdContainer>) -> io::Result<usize> {
        self.stream.read(buffer, descriptors)
    }

    fn write(&self, bytes: &[u8], descriptors: &mut Vec<RawFdContainer>) -> io::Result<usize> {
        self.stream.write(bytes, descriptors)
    }

    fn write_vectored(&self, buffers: &[io::IoSlice<'_>], descriptors: &mut Vec<RawFdContainer>) -> io::Result<usize> {
        self.stream.write_vectored(buffers, descriptors)
    }
}
