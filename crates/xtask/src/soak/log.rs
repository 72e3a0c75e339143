//! What a run's log says: how many tests passed, and which did not.
//!
//! It reads what cargo and the test programs print for people, which is all that there is on a fresh machine.

use std::process::ExitStatus;

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Rust tests that passed.
    pub(super) tests: u64,
    /// Names of what failed; none when the run was well.
    pub(super) failures: Vec<String>,
}

impl Outcome {
    /// Of a run that ended with `status`. `built`: it was to find everything built.
    pub(super) fn read(log: &str, status: ExitStatus, built: bool) -> Self {
        let mut reader = Reader::default();
        for line in log.lines() {
            reader.line(line);
        }
        reader.program_ended();
        let Reader { tests, mut failures, compiled, last_words, .. } = reader;
        if built && compiled {
            failures
                .push("something was built during the run: other programs than those of the runs before".to_owned());
        }
        if !status.success() && failures.is_empty() {
            failures.push(last_words.unwrap_or_else(|| format!("the run ended with {status}")));
        }
        if failures.is_empty() && tests == 0 {
            failures.push("no test was run".to_owned());
        }
        Self { tests, failures }
    }
}

#[derive(Default)]
struct Reader {
    tests: u64,
    failures: Vec<String>,
    compiled: bool,
    /// The test program that was started last and has told no result yet.
    program: Option<String>,
    /// Names under the last heading `failures:`; `None` outside of such a list.
    list: Option<Vec<String>>,
    /// The last error that xtask or cargo told.
    last_words: Option<String>,
}

impl Reader {
    fn line(&mut self, line: &str) {
        if let Some(program) = line.trim_start().strip_prefix("Running ").filter(|_| line.starts_with("  ")) {
            self.program_ended();
            self.program = Some(program.split(" (").next().unwrap_or(program).to_owned());
        } else if let Some(result) = line.strip_prefix("test result: ") {
            let passed = result.split_once(". ").and_then(|(_, counts)| counts.split(' ').next()?.parse::<u64>().ok());
            self.tests += passed.unwrap_or(0);
            let list = self.list.take().unwrap_or_default();
            if !result.starts_with("ok") {
                self.failures.extend(list);
            }
            self.program = None;
        } else if line == "failures:" {
            self.list = Some(Vec::new());
        } else if let (Some(list), Some(name)) = (&mut self.list, line.strip_prefix("    ")) {
            list.push(name.to_owned());
        } else if !line.is_empty() {
            self.list = None;
        }
        if line.trim_start().starts_with("Compiling ") {
            self.compiled = true;
        }
        if let Some(part) = line.strip_prefix("xtask: this part failed: ") {
            self.failures.push(part.to_owned());
        }
        if line.starts_with("xtask: failed: ") || line.starts_with("error: ") || line.starts_with("x: ") {
            self.last_words = Some(line.to_owned());
        }
    }

    /// Another program begins, or the log ends.
    fn program_ended(&mut self) {
        if let Some(program) = self.program.take() {
            self.failures.push(format!("{program}: ended without a result"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    fn ended(code: i32) -> ExitStatus {
        ExitStatus::from_raw(code << 8)
    }

    #[test]
    fn tests_are_counted_and_failures_named() {
        let log = "\
   Compiling surge-protocol v0.1.0
     Running unittests src/lib.rs (target/debug/deps/surge_protocol-1)

running 3 tests
test one ... ok
test two::three ... FAILED

failures:

---- two::three stdout ----
thread 'two::three' panicked at src/lib.rs:7:5:
failures:
    not a name
what it printed

failures:
    two::three
    four

test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s

     Running tests/other.rs (target/debug/deps/other-1)

running 2 tests
test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
error: 1 target failed:
";
        let outcome = Outcome::read(log, ended(101), false);
        assert_eq!(outcome, Outcome { tests: 3, failures: vec!["two::three".into(), "four".into()] });
        let built = Outcome::read(log, ended(101), true);
        assert!(built.failures.last().unwrap().starts_with("something was built"), "{built:?}");
    }

    #[test]
    fn a_program_that_dies_and_a_part_that_fails_are_failures() {
        let log = "     Running tests/dies.rs (target/debug/deps/dies-1)\nrunning 1 test\n     Running tests/next.rs (x)\n\
                   test result: ok. 5 passed; 0 failed;\nxtask: this part failed: window\n";
        let outcome = Outcome::read(log, ended(0), true);
        assert_eq!(outcome.failures, ["tests/dies.rs: ended without a result", "window"]);
        assert_eq!(outcome.tests, 5);
    }

    #[test]
    fn a_run_that_ends_badly_is_never_well() {
        let outcome = Outcome::read("xtask: failed: no disk\n", ended(1), true);
        assert_eq!(outcome.failures, ["xtask: failed: no disk"]);
        let outcome = Outcome::read("", ended(1), true);
        assert_eq!(outcome.failures, ["the run ended with exit status: 1"]);
        assert_eq!(Outcome::read("", ended(0), true).failures, ["no test was run"]);
    }
}
