//! Where nobody has looked yet: nobody is seen. What presence does not see is not seen there.

use std::collections::BTreeSet;
use std::time::Duration;

use super::ServiceFacts;
use crate::conditions::Foreground;
use crate::patience::Reader;
use crate::presence::Surroundings;

#[derive(Debug)]
pub(crate) struct Watch;

impl Watch {
    pub(crate) const fn new(_around: &Surroundings) -> Self {
        Self
    }

    pub(crate) const fn question(&mut self, _around: &Surroundings, _excluded: &BTreeSet<String>) -> Question {
        Question
    }

    pub(crate) fn read(&mut self, _seen: &mut Seen, _idle_after: Duration, told: &ServiceFacts) -> Foreground {
        Foreground { locked: told.locked, lid_shut: told.lid_shut.unwrap_or(false), ..Foreground::default() }
    }

    pub(crate) async fn stirred(&mut self) {
        std::future::pending().await
    }
}

#[derive(Debug)]
pub(crate) struct Question;

#[derive(Debug, Default)]
pub(crate) struct Seen;

impl Seen {
    pub(crate) const fn source(&self) -> &'static str {
        "none"
    }
}

pub(crate) const WINDOWS: &str = "windows";

pub(crate) type FileReader = Reader<Question, Seen>;

pub(crate) const fn kinds() -> [(&'static str, fn() -> FileReader); 0] {
    []
}
