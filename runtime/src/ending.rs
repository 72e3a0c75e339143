//! How a task ended, as the worker reports it. The table of codes is `docs/outcomes.md`.
//!
//! Deliberately absent: endings that only the supervisor can see, such as used-up CPU time or a crash of the worker.

use std::fmt;

use surge_protocol::Outcome;
use surge_protocol::frame::ReportCode;
use wasmtime::Trap;

/// An outcome with its code, and a sentence for the job's author.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ending {
    pub(crate) outcome: Outcome,
    pub(crate) code: ReportCode,
    pub(crate) detail: String,
}

impl Ending {
    fn word(outcome: Outcome, word: &str, detail: impl Into<String>) -> Self {
        Self { outcome, code: ReportCode::Word(word.to_owned()), detail: detail.into() }
    }

    /// The program returned, or left with `status`.
    pub(crate) fn exit(status: u32) -> Self {
        let (outcome, detail) = match status {
            0 => (Outcome::Done, String::new()),
            _ => (Outcome::Exit, format!("the program left with status {status}")),
        };
        Self { outcome, code: ReportCode::Status(status), detail }
    }

    pub(crate) fn limit(word: &str, detail: impl Into<String>) -> Self {
        Self::word(Outcome::Limit, word, detail)
    }

    pub(crate) fn invalid(word: &str, detail: impl Into<String>) -> Self {
        Self::word(Outcome::Invalid, word, detail)
    }

    /// A count or size above its fixed bound, with the rule's name and both values.
    pub(crate) fn too_large(rule: &str, value: u64, bound: u64) -> Self {
        Self::invalid("too_large", format!("{rule}: {value}, and at most {bound} are allowed"))
    }

    pub(crate) fn host(word: &str, detail: impl Into<String>) -> Self {
        Self::word(Outcome::Host, word, detail)
    }

    /// What a trap means. `site` says where it happened.
    pub(crate) fn trap(trap: Trap, site: &str) -> Self {
        let (word, what) = match trap {
            Trap::StackOverflow => return Self::limit("stack", format!("the call stack is exhausted{site}")),
            Trap::OutOfFuel => return Self::limit("fuel", "the fuel budget is used up"),
            Trap::UnreachableCodeReached => ("unreachable", "it reached an `unreachable` instruction"),
            Trap::MemoryOutOfBounds => ("memory_out_of_bounds", "it touched memory outside its bounds"),
            Trap::HeapMisaligned => ("misaligned", "it used a misaligned address for an atomic operation"),
            Trap::TableOutOfBounds => ("table_out_of_bounds", "it used an index outside a table"),
            Trap::IndirectCallToNull => ("indirect_call_to_null", "it called an empty table entry"),
            Trap::BadSignature => ("bad_signature", "it called a function by a wrong signature"),
            Trap::IntegerOverflow => ("integer_overflow", "an integer operation overflowed"),
            Trap::IntegerDivisionByZero => ("integer_divide_by_zero", "it divided an integer by zero"),
            Trap::BadConversionToInteger => ("bad_conversion_to_integer", "it converted to an integer what is none"),
            _ => ("other", "it trapped"),
        };
        Self::word(Outcome::Trap, word, format!("{what}{site}"))
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Ending {}
