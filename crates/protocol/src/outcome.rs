//! How a task ended, and which endings may vote.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Digest;

/// How a task ended. `done`, `exit` and `trap` say something about the program; the rest about the limits or the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The program returned, or exited with status 0.
    Done,
    /// The program exited with the non-zero status in the code.
    Exit,
    /// The program trapped.
    Trap,
    /// A limit ended it.
    Limit,
    /// The module or the task was refused before it ran.
    Invalid,
    /// The host failed: the worker crashed, was killed, or could not read its input.
    Host,
}

/// The detail of an outcome. JSON shows an exit status as a number and every other code as a word.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged, try_from = "Read")]
pub enum Code {
    /// The program's exit status.
    Status(u32),
    /// A fixed word from the table in `docs/outcomes.md`. See [`Code::is_word`].
    Word(String),
}

impl Code {
    /// Bytes of the longest word.
    pub const LONGEST_WORD: usize = 40;

    #[must_use]
    pub fn word(word: &str) -> Self {
        Self::Word(word.to_owned())
    }

    /// Whether `word` has the form of a code: 1 to 40 small letters and `_`. Results are kept and published: whoever makes
    /// one must not choose how long it is.
    #[must_use]
    pub fn is_word(word: &str) -> bool {
        (1..=Self::LONGEST_WORD).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
    }
}

/// A code as it is read, before its form is known.
#[derive(Deserialize)]
#[serde(untagged)]
enum Read {
    Status(u32),
    Word(String),
}

impl TryFrom<Read> for Code {
    type Error = &'static str;

    fn try_from(read: Read) -> Result<Self, Self::Error> {
        match read {
            Read::Status(status) => Ok(Self::Status(status)),
            Read::Word(word) if Self::is_word(&word) => Ok(Self::Word(word)),
            Read::Word(_) => Err("a code is a number, or a word of 1 to 40 small letters and _"),
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "{status}"),
            Self::Word(word) => f.write_str(word),
        }
    }
}

impl Outcome {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Exit => "exit",
            Self::Trap => "trap",
            Self::Limit => "limit",
            Self::Invalid => "invalid",
            Self::Host => "host",
        }
    }

    /// Whether this outcome comes with such a code at all.
    #[must_use]
    pub fn can_have(self, code: &Code) -> bool {
        match (self, code) {
            (Self::Done, Code::Status(status)) => *status == 0,
            (Self::Exit, Code::Status(status)) => *status != 0,
            (Self::Done | Self::Exit, Code::Word(_)) => false,
            (_, Code::Word(word)) => Code::is_word(word),
            (_, Code::Status(_)) => false,
        }
    }

    /// Whether this ending is the same on every machine of a runtime class, so that it may be compared and paid.
    /// Exit statuses, traps, the output limit and the fuel limit are; the stack, CPU and wall limits are not.
    #[must_use]
    pub fn votes(self, code: &Code) -> bool {
        match self {
            Self::Done | Self::Exit | Self::Trap => true,
            Self::Limit => matches!(code, Code::Word(word) if word == "fuel" || word == "output"),
            Self::Invalid | Self::Host => false,
        }
    }
}

/// What a result commits to: the outcome, its code and standard output. Fuel and log are not part of it.
#[must_use]
pub fn result_digest(outcome: Outcome, code: &Code, stdout: &[u8]) -> Digest {
    let mut hasher = ResultHasher::new(outcome, code);
    hasher.update(stdout);
    hasher.finish()
}

/// [`result_digest`] of an output that arrives in pieces.
#[derive(Debug, Clone)]
pub struct ResultHasher(blake3::Hasher);

impl ResultHasher {
    #[must_use]
    pub fn new(outcome: Outcome, code: &Code) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("surge 2026-11 task result v1");
        hasher.update(outcome.name().as_bytes());
        hasher.update(&[0]);
        hasher.update(code.to_string().as_bytes());
        hasher.update(&[0]);
        Self(hasher)
    }

    pub fn update(&mut self, stdout: &[u8]) {
        self.0.update(stdout);
    }

    #[must_use]
    pub fn finish(&self) -> Digest {
        Digest(*self.0.finalize().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_separates_outcome_code_and_output() {
        let base = result_digest(Outcome::Done, &Code::Status(0), b"42");
        assert_ne!(base, result_digest(Outcome::Exit, &Code::Status(0), b"42"));
        assert_ne!(base, result_digest(Outcome::Done, &Code::Status(1), b"42"));
        assert_ne!(base, result_digest(Outcome::Done, &Code::Status(0), b"43"));
    }

    #[test]
    fn a_code_that_is_no_word_of_the_table_cannot_be_read() {
        let read = |text: &str| serde_json::from_str::<Code>(text);
        assert_eq!(read("7").unwrap(), Code::Status(7));
        assert_eq!(read("\"bad_signature\"").unwrap(), Code::word("bad_signature"));
        for wrong in ["", "Trap", "a b", "\u{7}", "é", &"x".repeat(Code::LONGEST_WORD + 1)] {
            assert!(read(&serde_json::to_string(wrong).unwrap()).is_err(), "{wrong:?}");
        }
        for wrong in ["-1", "4294967296", "null", "[]"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_some_codes_belong_to_an_outcome() {
        assert!(Outcome::Done.can_have(&Code::Status(0)) && Outcome::Exit.can_have(&Code::Status(1)));
        assert!(Outcome::Trap.can_have(&Code::word("unreachable")) && Outcome::Limit.can_have(&Code::word("fuel")));
        assert!(!Outcome::Done.can_have(&Code::Status(1)) && !Outcome::Exit.can_have(&Code::Status(0)));
        assert!(!Outcome::Done.can_have(&Code::word("fuel")) && !Outcome::Trap.can_have(&Code::Status(1)));
    }

    #[test]
    fn host_dependent_endings_do_not_vote() {
        assert!(Outcome::Limit.votes(&Code::word("fuel")));
        for word in ["stack", "cpu", "wall", "memory"] {
            assert!(!Outcome::Limit.votes(&Code::word(word)), "{word}");
        }
        assert!(!Outcome::Host.votes(&Code::word("killed")));
    }
}
