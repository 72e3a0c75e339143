//! What the operating system knows and does: presence, load, suspension, priority, locks, paths. One file per system
//! behind the same names.
//!
//! Deliberately absent: decisions. It reports and obeys; the gate decides. It knows nothing else of Surge.

pub mod chassis;
pub mod conditions;
pub mod load;
pub mod lock;
pub mod paths;
pub mod presence;
pub mod process;
