//! Where nobody has looked yet: nobody is seen. What presence does not see is not seen there.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::Told;
use crate::conditions::{Foreground, Reading};

#[derive(Debug)]
pub(crate) struct Watch;

impl Watch {
    pub(crate) const fn new() -> Self {
        Self
    }

    pub(crate) fn read(
        &mut self,
        _excluded: &BTreeSet<String>,
        _idle_after: Duration,
        told: &Told,
    ) -> Reading<Foreground> {
        let foreground =
            Foreground { locked: told.locked, lid_shut: told.lid_shut.unwrap_or(false), ..Foreground::default() };
        Reading::new(foreground, "none", Instant::now())
    }

    pub(crate) async fn stirred(&mut self) {
        std::future::pending().await
    }
}
