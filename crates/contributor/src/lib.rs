//! The headless engine that tray and CLI are two shells of: gate, work loop, store, control socket, snapshot.
//!
//! Deliberately absent: windows, wasmtime, wallets. It starts the worker by path and knows a payout account only by
//! its signed binding.

mod blobs;
mod blocking;
mod clock;
mod config;
mod control;
pub mod crash;
mod engine;
pub mod files;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod gate;
pub mod governor;
pub mod health;
pub mod http;
pub mod link;
mod locks;
pub mod log;
mod plan;
mod private;
mod readings;
pub mod schedule;
pub mod settings;
mod setup;
mod snapshot;
mod store;
pub mod timeline;
mod trouble;
mod wish;
mod work;

pub(crate) use surge_client::view;

pub use blobs::BlobError;
pub use clock::{unix_now, unix_now_ms};
pub use config::{Config, ConfigError, Payout, device_key, read_network, read_payout};
pub use engine::{End, Handle, StartError, start};
pub use setup::SetupError;
