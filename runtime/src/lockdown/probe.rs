//! Tries, as native code in the worker itself, what a program that broke out of the engine would try.
//!
//! It is part of the shipped worker, so that anybody can see on their own machine what the lock-down refuses:
//! `surge-worker --probe NAME open|files|reading|running`.

use std::fmt;
use std::io;
use std::str::FromStr;

use super::os;

#[path = "escapes.rs"]
#[expect(unsafe_code, reason = "an escape is tried as an attacker would: by system calls")]
mod escapes;

/// How much of the lock-down stands while a probe is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wall {
    /// None of it.
    Open,
    /// The rule set over files, ports and signals alone.
    Files,
    /// All that stands before the module is read.
    Reading,
    /// All that stands while the program runs.
    Running,
}

/// No such wall.
#[derive(Debug)]
pub struct UnknownWall;

impl fmt::Display for UnknownWall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the walls are open, files, reading and running")
    }
}

impl FromStr for Wall {
    type Err = UnknownWall;

    fn from_str(text: &str) -> Result<Self, UnknownWall> {
        match text {
            "open" => Ok(Self::Open),
            "files" => Ok(Self::Files),
            "reading" => Ok(Self::Reading),
            "running" => Ok(Self::Running),
            _ => Err(UnknownWall),
        }
    }
}

/// The names of all probes.
pub fn list() -> impl Iterator<Item = &'static str> {
    escapes::ALL.iter().map(|(name, _)| *name)
}

/// Raises `wall` in this process for good, then tries the escape `name`; `Ok` means that it got through.
///
/// # Errors
/// What refused it. `NotFound` for a name that is no probe, before anything is done.
pub fn probe(name: &str, wall: Wall) -> io::Result<()> {
    let Some((_, escape)) = escapes::ALL.iter().find(|(known, _)| *known == name) else {
        return Err(io::Error::new(io::ErrorKind::NotFound, format!("there is no probe {name}")));
    };
    if wall != Wall::Open {
        os::forbid_files()?;
    }
    if matches!(wall, Wall::Reading | Wall::Running) {
        os::forbid_calls()?;
    }
    if wall == Wall::Running {
        os::forbid_new_code()?;
    }
    escape()
}
