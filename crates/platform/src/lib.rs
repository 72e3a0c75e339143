//! What the operating system knows and does: presence and all other conditions, suspension, priority, locks, paths. One file per system
//! behind the same names.
//!
//! Deliberately absent: decisions. It reports and obeys; the gate decides. It knows nothing else of Surge.

mod alarm;
pub mod awake;
pub mod boot_clock;
#[cfg(target_os = "linux")]
mod bus;
pub mod chassis;
pub mod conditions;
#[cfg(windows)]
#[expect(unsafe_code, reason = "there are no safe forms of these calls: one block an obligation")]
pub mod confinement;
pub mod detach;
#[cfg(target_os = "linux")]
mod displays;
pub mod disturbance;
mod foreground;
#[cfg(unix)]
pub mod home;
#[cfg(target_os = "linux")]
mod kernel;
pub mod load;
#[cfg(unix)]
pub mod lock;
#[cfg(target_os = "linux")]
mod logind;
pub mod memory;
mod network;
pub mod paths;
mod patience;
#[cfg(target_os = "linux")]
pub mod peer;
mod power;
pub mod presence;
#[cfg(target_os = "linux")]
pub mod process;
pub mod sensors;
#[cfg(target_os = "linux")]
mod sockets;
#[cfg(target_os = "linux")]
mod surroundings;
pub mod terminal;
mod thermal;
#[cfg(target_os = "linux")]
mod waitable;
#[cfg(target_os = "linux")]
mod x11;
