//! What an owner feels, measured from outside on the programs that users have: `cargo xtask bench yield|footprint` runs it.
//!
//! It prints raw readings as JSON; whoever asked makes figures of them. Deliberately absent: anything that the engine
//! says of itself. Processes are found and read through `/proc` and their CPU clocks.

mod bed;
mod boinc;
mod condition;
mod footprint;
mod hand;
mod login;
mod yielding;

pub use bed::{Bed, WORKERS};
pub use condition::Condition;
pub use footprint::footprint;
pub use hand::{Hand, Seat};
pub use yielding::yielding;
