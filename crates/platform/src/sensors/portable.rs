//! Where nobody has looked yet: no service says anything.

use std::future::{Ready, ready};
use std::sync::Arc;

use tokio::sync::Notify;

use crate::conditions::Network;
use crate::foreground::ServiceFacts;
use crate::presence::Surroundings;

#[derive(Debug)]
pub(super) struct Services;

impl Services {
    pub(super) const fn new(_around: &Surroundings, _nudge: &Arc<Notify>) -> Self {
        Self
    }

    pub(super) fn ask(&mut self, _urgent: bool) -> Ready<()> {
        ready(())
    }

    pub(super) fn told(&self) -> ServiceFacts {
        ServiceFacts::default()
    }

    pub(super) const fn network(&self) -> Option<Network> {
        None
    }
}
