//! What a shell needs to talk to the engine: its state as one snapshot, the connection to its socket, and the words for
//! what it says. Tray, window and CLI are built on this, and the engine speaks the same types.
//!
//! Deliberately absent: windows, the engine's inside, and any rule about when work runs.

mod connection;
mod start;
pub mod view;
pub mod wire;
pub mod words;

pub use connection::{ClientError, Connection, Engine, Reporter, answers, ask, report, send, stop, watch};
pub use start::{EngineStartError, engine_program, start_engine, start_program};
