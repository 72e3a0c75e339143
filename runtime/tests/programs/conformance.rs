//! The public WASI test suite's preview-1 cases, each in a worker of its own. Which are out, and why: `docs/wasi.md`.

use std::collections::BTreeSet;
use std::thread;

use surge_protocol::{Code, Outcome};

use crate::door::{program, run, text};

/// Workers at a time.
const LANES: usize = 2;

fn cases() -> Vec<String> {
    text(program("conformance", &["list"], "")).lines().map(String::from).collect()
}

/// What a case came to, if not to what it should.
fn failure(case: &str) -> Option<String> {
    let finished = run(program("conformance", &[case, "state"], "input"));
    let expected = match case {
        "proc_exit-failure" => (Outcome::Exit, Code::Status(33)),
        _ => (Outcome::Done, Code::Status(0)),
    };
    let came = (finished.outcome, finished.code);
    (came != expected).then(|| format!("{case}: {came:?}\n{}", String::from_utf8_lossy(&finished.log)))
}

#[test]
fn the_public_suites_cases_pass() {
    let cases = cases();
    let failures: Vec<String> = thread::scope(|scope| {
        let lane = |n| {
            let part = cases.iter().skip(n).step_by(LANES);
            scope.spawn(move || part.filter_map(|case| failure(case)).collect::<Vec<_>>())
        };
        let lanes: Vec<_> = (0..LANES).map(lane).collect();
        lanes.into_iter().flat_map(|lane| lane.join().unwrap()).collect()
    });
    assert_eq!(failures, [""; 0]);
}

/// A case of the suite is built here, or `docs/wasi.md` says why it is not; never both, never neither.
#[test]
fn every_case_of_the_suite_is_accounted_for() {
    let page = include_str!("../../../docs/wasi.md");
    let row = |line: &str| {
        let mut cells = line.strip_prefix("| ")?.split(" | ");
        let names = cells.next()?.split(", ").filter_map(|name| name.strip_prefix('`')?.strip_suffix('`'));
        Some((names.map(String::from).collect::<Vec<_>>(), cells.next()?.starts_with("**out**")))
    };
    let rows: Vec<_> = page.lines().filter_map(row).collect();
    let named = |out: bool| rows.iter().filter(move |row| row.1 == out).flat_map(|row| row.0.clone());
    let built: BTreeSet<String> = cases().into_iter().collect();
    assert_eq!(named(false).collect::<BTreeSet<_>>(), built);
    assert!(named(true).all(|case| !built.contains(&case)));
    assert!(named(true).count() > 0);
}
