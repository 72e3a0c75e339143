//! The real gate and governor, driven second by second through virtual time: over thermal models from laptop to tower,
//! and through a day. What they do is asserted, and drawn in `docs/plots`.

#![expect(clippy::unwrap_used, reason = "a test that can't go on says where")]

mod day;
mod heat;
mod model;
mod plot;
