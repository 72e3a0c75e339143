//! Whole-system tests through the doors that users have: the pieces that they share.

pub mod bench;
pub mod counting;
pub mod door;
pub mod home;
pub mod kill;
pub mod machine;
pub mod network;
pub mod proxy;
pub mod screen;
pub mod systemd;
pub mod tray_host;
