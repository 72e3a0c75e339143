//! Whole-system tests through the doors that users have: the pieces that they share.

pub mod network;
pub mod screen;
pub mod tray_host;
