//! Which build this is.

/// The version and the commit that it was built from.
pub(crate) const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("SURGE_BUILD"), ")");
