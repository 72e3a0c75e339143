//! What the operating system knows and does: presence, load, suspension, priority, locks, paths. One file per system
//! behind the same names.
//!
//! Deliberately absent: decisions. It reports and obeys; the gate decides. It knows nothing else of Surge.

pub mod conditions;
#[cfg(windows)]
#[expect(unsafe_code, reason = "there are no safe forms of these calls: one block an obligation")]
pub mod confinement;
pub mod load;
pub mod lock;
pub mod memory;
pub mod paths;
pub mod presence;
#[cfg(target_os = "linux")]
pub mod process;
