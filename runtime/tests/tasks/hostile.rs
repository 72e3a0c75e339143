//! The hostile cases: what a stranger's module, or a broken worker, may try, and how each attempt ends.
//!
//! They are tried in a process of their own by a supervisor as `surge task run` has one. After each case that supervisor
//! runs a good task, and its process is as before: no child, descriptor, socket, thread, file or memory is left of the
//! case, and the log has the code by which each task of it ended. `docs/hostile-cases.md` is this table to read.

mod bombs;
mod case;
mod checkpoints;
mod computing;
mod files;
mod fuel;
mod liar;
mod memory;
mod modules;
mod repeating;
mod second;
mod stand;
mod stopped;
mod streams;
mod traces;
mod traps;
mod workers;

use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use case::{Case, Run};
use stand::Stand;

fn cases() -> Vec<Case> {
    let mut cases = [
        bombs::CASES,
        checkpoints::CASES,
        computing::CASES,
        files::CASES,
        fuel::CASES,
        memory::CASES,
        modules::CASES,
        repeating::CASES,
        streams::CASES,
        traps::CASES,
        workers::CASES,
    ]
    .concat();
    cases.sort_by_key(|case| case.number);
    cases
}

#[test]
fn every_case_has_a_row() {
    let cases = cases();
    assert_eq!(cases.iter().map(|case| case.number).collect::<Vec<_>>(), (1..=70).collect::<Vec<_>>());
    for case in cases {
        match case.run {
            Run::Never => assert!(case.ends.is_empty() && !case.note.is_empty(), "{}: say why", case.number),
            Run::Elsewhere(file) => assert!(root().join(file).is_file(), "{}: there is no {file}", case.number),
            Run::Tasks(_) | Run::Act(_) => assert!(!case.ends.is_empty(), "{}: say how it ends", case.number),
        }
    }
}

#[test]
fn every_case_ends_as_its_row_says_and_leaves_nothing_behind() {
    match std::env::var(stand::PART).as_deref() {
        Err(_) => stand::run_alone(),
        Ok("stand") => try_all(),
        Ok(part) => second::play(part),
    }
}

fn try_all() {
    let stand = Stand::new();
    let mut failed = Vec::new();
    for case in cases() {
        if let Run::Never | Run::Elsewhere(_) = case.run {
            continue;
        }
        let start = Instant::now();
        let memory = catch_unwind(AssertUnwindSafe(|| {
            case.run(&stand);
            stand.is_as_before()
        }));
        let (number, tries, took) = (case.number, case.tries, start.elapsed().as_millis());
        match memory {
            Ok(kib) => println!("{number:2} {tries}: {}, {kib:+} KiB, {took} ms", case.ends.join(", ")),
            Err(_) => {
                println!("{number:2} {tries}: FAILED");
                stand.begin_anew();
                failed.push(number);
            }
        }
    }
    assert!(failed.is_empty(), "these cases failed, see above: {failed:?}");
}

#[test]
fn the_document_says_what_the_table_says() {
    let mut table = String::from("| case | what it tries | ends as | notes |\n| --- | --- | --- | --- |\n");
    for case in cases() {
        let ends: Vec<String> = case.ends.iter().map(|ends| format!("`{ends}`")).collect();
        let ends = if ends.is_empty() { "–".to_owned() } else { ends.join(", ") };
        let note = match case.run {
            Run::Never => format!("can't occur: {}", case.note),
            Run::Elsewhere(file) => format!("{} (`{file}`)", case.note),
            Run::Tasks(_) | Run::Act(_) => case.note.to_owned(),
        };
        writeln!(table, "| {} | {} | {ends} | {note} |", case.number, case.tries).unwrap();
    }
    let document = std::fs::read_to_string(root().join("docs/hostile-cases.md")).unwrap();
    assert!(document.contains(&table), "docs/hostile-cases.md should hold this table:\n{table}");
}

fn root() -> &'static std::path::Path {
    std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}
