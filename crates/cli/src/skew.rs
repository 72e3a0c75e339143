//! What is said where the engine is of another version than this program: behind every answer of the engine, which is
//! shown as far as this program understands it.

use std::io::Write;

use anyhow::Result;
use surge_client::wire::Hello;
use surge_client::words::Words;

use crate::say::{line, plain};
use crate::version::VERSION;

/// Nothing where the versions are the same.
pub(crate) fn sentence(hello: &Hello) -> Option<String> {
    Words::english().skew(hello, VERSION).map(|skew| plain(&skew))
}

/// Ends an answer of the engine with it. A document is all that standard output has, so that it is on standard error then.
pub(crate) fn tell(hello: &Hello, json: bool) -> Result<()> {
    match sentence(hello) {
        Some(skew) if json => {
            // Nobody may read it, which is no failure.
            let _ = writeln!(std::io::stderr(), "surge: {skew}");
            Ok(())
        }
        Some(skew) => line(&skew),
        None => Ok(()),
    }
}
