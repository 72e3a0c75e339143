//! The examples for job authors that keep checkpoints: killed at random moments, they end as if nothing had happened.

use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use surge_protocol::Outcome::{Done, Exit};
use surge_protocol::{Digest, Outcome};
use surge_supervisor::{Checkpoints, Finished, Task};

use crate::door::{DOOR, example, output, run, text};

/// Disturbed runs of one example, and kills of one run, at most.
const RUNS: usize = 4;
const KILLS: usize = 3;

/// Runs `task` until it has used `cpu`, and kills it then; how it ended.
fn disturbed(task: Task, cpu: Duration) -> Finished {
    let running = DOOR.supervisor.run(task, 1.0);
    loop {
        let used = DOOR.supervisor.workers().into_iter().find(|worker| worker.id == running.id());
        if used.is_some_and(|worker| u128::from(worker.cpu_ms) >= cpu.as_millis()) {
            DOOR.supervisor.kill(running.id());
            return running.wait();
        }
        if let Some(finished) = running.wait_timeout(Duration::from_millis(1)) {
            return finished;
        }
    }
}

/// Kills `task` at `moments` of its CPU time, one start after the other, then lets it end; says how, and how often it
/// went on from a checkpoint.
fn survive(task: &Task, moments: &[Duration], folder: &Path) -> (Finished, usize) {
    let checkpoints = Checkpoints { folder: folder.to_owned(), task: Digest::of(&task.module), every: Duration::ZERO };
    let task = Task { checkpoints: Some(checkpoints), ..task.clone() };
    let mut resumed = 0;
    for &moment in moments {
        let finished = disturbed(task.clone(), moment);
        resumed += usize::from(finished.resumed);
        if finished.outcome != Outcome::Host {
            return (finished, resumed);
        }
    }
    let finished = DOOR.supervisor.run(task, 1.0).wait();
    (finished.clone(), resumed + usize::from(finished.resumed))
}

/// Disturbs `task`, whose undisturbed run ends with `answer`, at random moments of several runs.
fn survives(task: Task, answer: &str) {
    let undisturbed = run(task.clone());
    assert_eq!((undisturbed.outcome, String::from_utf8_lossy(&undisturbed.output).as_ref()), (Done, answer));
    let all = undisturbed.cpu_ms.max(2);
    let mut resumed = 0;
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    for _ in 0..RUNS {
        let moments = prop::collection::vec((1..all).prop_map(Duration::from_millis), 1..=KILLS);
        let moments = moments.new_tree(&mut runner).unwrap().current();
        let folder = tempfile::tempdir().unwrap();
        let (finished, went_on) = survive(&task, &moments, folder.path());
        assert_eq!((finished.outcome, finished.digest), (Done, undisturbed.digest), "killed at {moments:?}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left of a task that has ended");
        resumed += went_on;
    }
    assert!(resumed > 0, "it went on from a checkpoint at least once");
}

/// In C: the published counts of primes, and the widest gap below 10^8.
#[test]
fn primes_survives_kills() {
    let answer = "{\"limit\":60000000,\"primes\":3562115,\"last\":59999999,\"gap\":220,\"after\":47326693}\n";
    survives(example("primes", "60000000"), answer);
}

/// In Rust: the published record below three million.
#[test]
fn collatz_survives_kills() {
    survives(example("collatz", "2000000\n"), "{\"below\":2000000,\"best\":1723519,\"steps\":556}\n");
}

#[test]
fn primes_counts_what_is_known() {
    for (limit, primes) in [(2, 1), (100, 25), (1_000_000, 78_498), (10_000_000, 664_579)] {
        let said = text(example("primes", format!("{limit}\n")));
        assert!(said.contains(&format!("\"primes\":{primes},")), "{said}");
    }
}

/// In Zig.
#[test]
fn words_counts_as_wc_does() {
    assert_eq!(output(example("words", "")), b"0 0 0\n");
    assert_eq!(output(example("words", "one two\n three\tfour\r\n\nfive")), b"3 5 26\n");
}

#[test]
fn examples_refuse_an_input_that_is_none() {
    for job in ["primes", "collatz"] {
        for input in ["", "many", "1"] {
            let finished = run(example(job, input));
            assert_eq!((finished.outcome, finished.code.to_string().as_str()), (Exit, "2"), "{job} on {input:?}");
            assert!(!finished.log.is_empty());
        }
    }
}
