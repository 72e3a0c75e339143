//! A descriptor that a task can wait on: timers, devices and queues that tokio has no type for.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use tokio::io::Interest;
use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};

/// Reading it must not block.
#[derive(Debug)]
pub(crate) struct Waitable(AsyncFd<OwnedFd>);

impl Waitable {
    /// Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// For what can't be waited on, such as an ordinary file.
    #[expect(unsafe_code, reason = "tokio can't see that a descriptor stays what it was")]
    pub(crate) fn new(descriptor: impl Into<OwnedFd>) -> io::Result<Self> {
        // SAFETY: the descriptor is owned by the AsyncFd until it is dropped, and this type hands it out by shared
        // reference only, so that it is neither closed nor exchanged before.
        Ok(Self(unsafe { AsyncFd::register_with_interest(descriptor.into(), Interest::READABLE) }?))
    }

    /// Returns when there may be something to read. Clear the guard after a read that would have blocked.
    ///
    /// # Errors
    /// When the runtime ends.
    pub(crate) async fn ready(&self) -> io::Result<AsyncFdReadyGuard<'_, OwnedFd>> {
        self.0.readable().await
    }
}

impl AsFd for Waitable {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.get_ref().as_fd()
    }
}
