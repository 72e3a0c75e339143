//! Standard error: the program's log as it comes, and how it ended, in words.
//!
//! Deliberately absent: control sequences of a stranger's program. On a terminal nothing that it wrote moves the cursor,
//! changes a title or hides a line; a pipe or file gets its bytes as they are.

use std::io::{self, IsTerminal, Write};

use surge_protocol::{Code, Outcome};
use surge_supervisor::Finished;

/// Shows a line on standard error. Where nobody can read it, there is nobody to tell.
pub(super) fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// The program's log on its way to standard error.
#[derive(Debug)]
pub(super) struct Log {
    harmless: Option<Harmless>,
}

impl Log {
    pub(super) fn new() -> Self {
        Self { harmless: io::stderr().is_terminal().then(Harmless::default) }
    }

    pub(super) fn show(&mut self, bytes: &[u8]) {
        let mut stderr = io::stderr().lock();
        // Where nobody can read it, there is nobody to tell.
        let _ = match &mut self.harmless {
            Some(harmless) => stderr.write_all(harmless.text(bytes).as_bytes()),
            None => stderr.write_all(bytes),
        };
    }
}

/// Turns foreign bytes into text that a terminal only prints.
#[derive(Debug, Default)]
pub(super) struct Harmless {
    /// The beginning of a character whose end has not come yet.
    begun: Vec<u8>,
}

impl Harmless {
    pub(super) fn text(&mut self, bytes: &[u8]) -> String {
        self.begun.extend_from_slice(bytes);
        let later = self.begun.split_off(self.begun.len() - unfinished(&self.begun));
        let mut text = String::new();
        for chunk in self.begun.utf8_chunks() {
            chunk.valid().chars().for_each(|c| push(&mut text, c));
            if !chunk.invalid().is_empty() {
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
        self.begun = later;
        text
    }
}

/// How many bytes at the end begin a character and do not finish it.
fn unfinished(bytes: &[u8]) -> usize {
    let begins = |n: &usize| {
        let end = &bytes[bytes.len() - n..];
        std::str::from_utf8(end).is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
    };
    (1..=bytes.len().min(3)).find(begins).unwrap_or(0)
}

fn push(text: &mut String, c: char) {
    match c {
        '\n' | '\t' => text.push(c),
        // Marks that reverse the direction of text can disguise what it says.
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => text.extend(c.escape_unicode()),
        _ if c.is_control() => text.extend(c.escape_default()),
        _ => text.push(c),
    }
}

/// How the task ended, for people, when it was allowed `share` of a core. A task that is done speaks for itself, except to
/// somebody who watches.
pub(super) fn ending(finished: &Finished, share: f32) {
    match finished.outcome {
        Outcome::Done if !io::stderr().is_terminal() => {}
        Outcome::Done => {
            let (mib, bytes) = (finished.peak_memory_bytes.div_ceil(1 << 20), finished.output_bytes);
            say(&format!("done: {} ms CPU, {mib} MiB memory, {bytes} bytes of result", finished.cpu_ms));
        }
        outcome => {
            let detail = Harmless::default().text(finished.detail.as_bytes());
            say(&format!("{}: {detail} [{}]", outcome.name(), finished.code));
            if finished.code == Code::Word("wall".to_owned()) {
                say(&about_the_wall(finished.cpu_ms, finished.wall_ms, share));
            } else if let Some(advice) = advice(outcome, &finished.code) {
                say(advice);
            }
        }
    }
}

/// Whether the machine or the program is to blame for a limit of time.
fn about_the_wall(cpu_ms: u64, wall_ms: u64, share: f32) -> String {
    let (cpu, wall) = (cpu_ms as f64 / 1e3, wall_ms as f64 / 1e3);
    if cpu >= wall * f64::from(share) * 0.8 {
        return format!(
            "It had a processor for {cpu:.1} of {wall:.1} s and needs more: allow more with --wall-seconds."
        );
    }
    format!(
        "It had a processor for only {cpu:.1} of {wall:.1} s, since the machine is busy or the program waits: allow more \
             with --wall-seconds."
    )
}

/// What the job's author can do.
fn advice(outcome: Outcome, code: &Code) -> Option<&'static str> {
    let Code::Word(word) = code else { return None };
    match (outcome, word.as_str()) {
        (Outcome::Limit, "memory") => Some("Give it more with --memory-mib."),
        (Outcome::Limit, "cpu") => Some("Give it more with --cpu-seconds."),
        (Outcome::Limit, "output") => Some("Allow more with --output-mib."),
        (Outcome::Limit, "fuel") => Some("Allow more with --fuel-budget."),
        (Outcome::Limit, "stack") => Some("The call stack has a fixed size: recurse less deeply."),
        (Outcome::Invalid, "no_start" | "import" | "feature") => {
            Some("Build it as a program for wasm32-wasip1, without threads and exceptions; see jobs/README.md.")
        }
        (Outcome::Host, "spawn" | "crashed" | "protocol") => {
            Some("If this happens again, surge-worker may be damaged or of another version: install Surge again.")
        }
        (Outcome::Host, "lockdown") => {
            Some("Use a newer kernel, or allow the weaker lock-down with --sandbox seccomp-only.")
        }
        (Outcome::Host, "killed" | "memory") => Some("Close other programs, or lower --memory-mib, and run it again."),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_only_prints_what_a_program_wrote() {
        let mut harmless = Harmless::default();
        let shown = harmless.text(b"a\x1b[2J\x07\r\nb\tc\x9b\xc2\x9b \xe2\x80\xae");
        assert_eq!(shown, "a\\u{1b}[2J\\u{7}\\r\nb\tc\u{fffd}\\u{9b} \\u{202e}");
    }

    #[test]
    fn a_machine_is_called_busy_only_where_it_is() {
        for (cpu, share, busy) in [(2000, 1.0, false), (1900, 1.0, false), (500, 1.0, true), (980, 0.5, false)] {
            assert_eq!(about_the_wall(cpu, 2000, share).contains("busy"), busy, "{cpu} ms at {share}");
        }
    }

    #[test]
    fn characters_survive_being_cut() {
        let text = "grüße, 世界 🦀!";
        for cut in 0..text.len() {
            let mut harmless = Harmless::default();
            let (a, b) = text.as_bytes().split_at(cut);
            assert_eq!(harmless.text(a) + &harmless.text(b), text, "cut at {cut}");
        }
    }
}
