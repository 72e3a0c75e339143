//! File work off the threads that drive the engine's I/O: a slow disk must delay nobody else.

use std::panic::resume_unwind;

/// Runs `act` on a thread that may wait for the disk. A panic of it goes on in the caller.
pub(crate) async fn blocking<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(act).await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The runtime shuts down, and with it whoever waits here.
            Err(_) => std::future::pending().await,
        },
    }
}
