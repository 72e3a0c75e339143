//! Keeps this computer from falling asleep by itself, while that is wanted. What its owner does by hand (the lid, the
//! menu, the button) is not stood against, and the screen may turn off where the system tells the two apart.
//!
//! Deliberately absent: when it is wanted. The lock ends with this process, whatever ends it.

use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as os;
#[cfg(target_os = "macos")]
mod macos;
#[cfg(target_os = "macos")]
use macos as os;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows as os;

/// Who keeps it awake, as the system shows it to its owner.
pub(crate) const WHO: &str = "Surge";
const WHY: &str = "Computing, as the setting keep_awake_on_ac allows";
/// How long to wait before asking again a system that refused.
const RETRY: Duration = Duration::from_secs(60);

/// A lock on sleep that is held while it is wanted. Costs nothing before that is so for the first time.
#[derive(Debug, Default)]
pub struct Awake {
    wanted: bool,
    orders: Option<Sender<bool>>,
}

impl Awake {
    /// Whether this computer is to stay awake from now on. Never waits for the system.
    pub fn keep(&mut self, wanted: bool) {
        if std::mem::replace(&mut self.wanted, wanted) == wanted {
            return;
        }
        if self.orders.is_none() {
            self.orders = hold_in_thread().inspect_err(|error| tracing::warn!(%error, "Sleep can't be put off")).ok();
        }
        if let Some(orders) = &self.orders {
            // Fails only when the thread has panicked, which ended the lock as well.
            let _ = orders.send(wanted);
        }
    }
}

/// Some systems give the lock to a thread: one that lives as long as it is wanted.
fn hold_in_thread() -> io::Result<Sender<bool>> {
    let (orders, inbox) = mpsc::channel();
    std::thread::Builder::new().name("awake".into()).spawn(move || hold(&inbox))?;
    Ok(orders)
}

fn hold(orders: &Receiver<bool>) {
    let mut lock = None;
    let mut again = None;
    loop {
        let order = match again {
            Some(wait) => orders.recv_timeout(wait),
            None => orders.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        // The last order counts.
        let wanted = match orders.try_iter().last().map_or(order, Ok) {
            Ok(wanted) => wanted,
            Err(RecvTimeoutError::Timeout) => true,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        again = None;
        if !wanted {
            if lock.take().is_some() {
                tracing::info!("This computer may fall asleep again");
            }
        } else if lock.is_none() {
            match os::Lock::take(WHO, WHY) {
                Ok(taken) => {
                    tracing::info!("This computer is kept from falling asleep");
                    lock = Some(taken);
                }
                Err(error) => {
                    tracing::warn!(%error, "This computer may fall asleep while it works");
                    again = Some(RETRY);
                }
            }
        }
    }
}
