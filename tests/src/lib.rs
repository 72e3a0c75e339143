//! Whole-system tests through the doors that users have: the pieces that they share.

pub mod bench;
pub mod command;
pub mod counting;
#[cfg(target_os = "linux")]
pub mod disk;
pub mod door;
pub mod executable;
pub mod graphical;
pub mod home;
pub mod kill;
pub mod machine;
pub mod network;
pub mod ports;
pub mod process;
pub mod proxy;
pub mod screen;
mod second_build;
pub mod systemd;
pub mod tray_host;
