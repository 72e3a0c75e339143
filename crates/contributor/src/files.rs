//! Files by the rules that all commands keep: what a person names is read only where it is a file of a sensible size; what
//! is written is there whole, or what was there before is; what two commands may change is changed by one after the other.

mod change;
mod read;
mod replace;

pub use change::{Locked, lock};
pub use read::{FileError, FileProblem, read_bounded, read_text};
pub use replace::{Destination, write_atomic};
