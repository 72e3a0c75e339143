//! The network service: gives tasks to nodes, checks their results, keeps the ledger and settles it on chain.
//!
//! Deliberately absent: keys other than its own, WASM engines (it replays in the same worker process as everybody), and
//! anything of the shells. Time, chain and replays are passed in (see [`coordinator::World`]).

pub mod accounts;
mod api;
pub mod blobs;
pub mod board;
pub mod breaker;
pub mod chain;
pub mod clock;
pub mod config;
pub mod coordinator;
pub mod error;
pub mod jobs;
pub mod leases;
pub mod ledger;
pub mod matching;
mod module;
pub mod nodes;
pub mod replay;
pub mod results;
pub mod session;
pub mod settle;
pub mod store;
mod sweep;
pub mod verdict;
pub mod verify;
