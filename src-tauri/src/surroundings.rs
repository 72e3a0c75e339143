//! What the desktop around the tray icon is like, as it changes: whether anything shows tray icons, and its colours.
//!
//! One file per OS with the same function.

#[cfg(target_os = "linux")]
#[path = "surroundings/linux.rs"]
mod system;

#[cfg(not(target_os = "linux"))]
#[path = "surroundings/native.rs"]
mod system;

pub(crate) use system::watch;
