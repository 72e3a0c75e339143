//! The contract of every command, tried with the real program: a failure has the documented exit status, is one line on
//! standard error that ends with its code, and with `--json` also one document on standard output.
//!
//! `rows` has a list for each group of commands, for whoever owns them to add to; a command without a row fails here.

#![expect(clippy::unwrap_used, reason = "tests")]

mod attach;
mod home;
mod rows;

use std::collections::BTreeSet;
use std::process::Output;

use home::{Home, Kind};
use rows::Row;
use serde_json::Value;

/// What `surge … --help` lists under `Commands:`.
fn below(command: &[String]) -> Vec<Vec<String>> {
    let args: Vec<&str> = command.iter().map(String::as_str).chain(["--help"]).collect();
    let help = Home::new(Kind::Empty).run(&args, false);
    assert_eq!(help.status.code(), Some(0), "{command:?} has help: {help:?}");
    let text = String::from_utf8(help.stdout).unwrap();
    let listed = text.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help");
    names.map(|name| [command, &[name.to_owned()]].concat()).collect()
}

/// Every command that has none below it, and those that also work without.
fn commands() -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let mut open = vec![Vec::new()];
    while let Some(command) = open.pop() {
        let found = below(&command);
        if found.is_empty() {
            all.insert(command.join(" "));
        }
        open.extend(found);
    }
    all
}

/// Status and code of a failure that keeps the contract.
///
/// # Errors
/// What is wrong with it.
fn failure(told: &Output, json: bool) -> Result<(i32, String), String> {
    let err = String::from_utf8_lossy(&told.stderr);
    let out = String::from_utf8_lossy(&told.stdout);
    let check = |holds: bool, what: &str| if holds { Ok(()) } else { Err(format!("{what}: {err}{out}")) };
    let status = told.status.code().ok_or_else(|| format!("it was ended by a signal: {err}"))?;
    check(status != 101, "it crashed")?;
    check(status != 0, "it should fail")?;
    // The engine logs on standard error what it did before.
    let told_lines: Vec<_> = err.lines().filter(|line| !is_logged(line)).collect();
    let &[line] = &told_lines[..] else {
        return Err(format!("standard error has one line beside the log: {err}{out}"));
    };
    let parts = line.strip_suffix(']').and_then(|line| line.rsplit_once(" ["));
    let (said, code) = parts.ok_or_else(|| format!("the line ends with its code: {line}"))?;
    check(said.starts_with("surge: ") && said.len() > 20, "the line begins with the program and says something")?;
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    check(!code.is_empty() && code.chars().all(word), "the code is a word")?;
    check(!said.contains("Caused by"), "it is told in words")?;
    if json {
        let document: Value =
            serde_json::from_slice(&told.stdout).map_err(|error| format!("one document ({error}): {out}"))?;
        check(document["error"]["code"] == code, "line and document have the same code")?;
        let message = document["error"]["message"].as_str().unwrap_or_default();
        check(!message.is_empty() && !message.contains('\n'), "the document has the message")?;
        check(document.as_object().is_some_and(|members| members.len() == 1), "nothing but the error")?;
    }
    Ok((status, code.to_owned()))
}

/// Whether a line is one of the log: it begins with the time, `2026-11-27T07:29:48.290481Z`.
fn is_logged(line: &str) -> bool {
    let time = line.split(' ').next().unwrap_or_default();
    time.len() == 27 && time.ends_with('Z') && time.starts_with(|c: char| c.is_ascii_digit())
}

/// Fails with all that went wrong, and not only with the first.
fn no(wrong: &[String]) {
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_failure_keeps_the_contract() {
    let mut wrong = Vec::new();
    for Row { home, args, stdin, status, code } in rows::all() {
        for json in [false, true] {
            let home = Home::new(home);
            let args: Vec<String> = args.iter().map(|arg| home.fill(arg)).collect();
            let args: Vec<&str> = args.iter().map(String::as_str).chain(json.then_some("--json")).collect();
            let told = home.run_with_input(&args, stdin);
            match failure(&told, json) {
                Ok((was, told)) if was == status && told == code => {}
                kept => wrong.push(format!(
                    "surge {} ({:?}): {status} {code} is wanted, and it was {kept:?}: {}",
                    args.join(" "),
                    home.kind,
                    String::from_utf8_lossy(&told.stderr)
                )),
            }
        }
    }
    no(&wrong);
}

#[test]
fn every_command_has_rows_and_every_row_a_command() {
    let commands = commands();
    assert!(commands.contains("limits set") && commands.contains("attach"), "{commands:?}");
    let of = |args: &[&str]| {
        let mut name = String::new();
        for arg in args {
            let longer = if name.is_empty() { (*arg).to_owned() } else { format!("{name} {arg}") };
            if commands.iter().any(|command| *command == longer || command.starts_with(&format!("{longer} "))) {
                name = longer;
            }
        }
        name
    };
    let tried: BTreeSet<String> = rows::all().iter().map(|row| of(row.args)).collect();
    let missing: Vec<_> = commands.difference(&tried).collect();
    assert!(missing.is_empty(), "these commands need a row in crates/cli/tests/contract/rows: {missing:?}");
}

/// What can be tried with every command alike: each refuses an option that it does not have, and none of them crashes or
/// breaks the contract, whatever its home is.
#[test]
fn every_command_is_sound_in_every_home() {
    let mut wrong = Vec::new();
    for command in commands() {
        let words: Vec<&str> = command.split(' ').collect();
        for json in [false, true] {
            let args = [&words[..], &["--no-such-option"]].concat();
            let kept = failure(&Home::new(Kind::Empty).run(&args, json), json);
            if kept != Ok((2, "usage".to_owned())) {
                wrong.push(format!("surge {command} --no-such-option: {kept:?}"));
            }
        }
        // In a graphical session it goes on until that ends.
        let kinds = if command == "session" { &[][..] } else { &Kind::ALL[..] };
        for &kind in kinds {
            // Other tests' engines run beside it.
            let shared = if command == "run" { &["--share-machine"][..] } else { &[] };
            let told = Home::new(kind).run(&[&words[..], shared].concat(), true);
            if told.status.code() != Some(0)
                && let Err(broken) = failure(&told, true)
            {
                wrong.push(format!("surge {command} --json ({kind:?}): {broken}"));
            }
        }
    }
    no(&wrong);
}

#[test]
fn every_command_has_help_without_a_home() {
    for command in commands() {
        let words: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        for json in [false, true] {
            let help = Home::new(Kind::File).run(&words, json);
            assert_eq!((help.status.code(), help.stderr.is_empty()), (Some(0), true), "{words:?}: {help:?}");
            let text = String::from_utf8(help.stdout).unwrap();
            assert!(text.contains("Usage: surge"), "{text}");
            assert_eq!(unexplained(&text), Vec::<&str>::new(), "{command}");
        }
    }
    let version = Home::new(Kind::Empty).run(&["--version"], false);
    assert_eq!(version.status.code(), Some(0));
}

/// Arguments and options of a help text without a word about them.
fn unexplained(help: &str) -> Vec<&str> {
    let lines: Vec<&str> = help.lines().collect();
    let of_help = lines.iter().enumerate().filter(|(_, line)| {
        let name = line.trim_start();
        let begins = name.starts_with('<') || name.starts_with("--") || name.starts_with("-h") || name.starts_with('[');
        begins && line.len() - name.len() <= 6 && line.starts_with("  ")
    });
    // The word stands behind the name, or below it and further in.
    let bare = of_help.filter(|(at, line)| {
        let behind = line.trim_start().contains("  ");
        let below = lines.get(at + 1).is_some_and(|next| next.starts_with("          ") && !next.trim().is_empty());
        !behind && !below
    });
    bare.map(|(_, line)| *line).collect()
}

#[test]
fn who_types_only_the_program_is_shown_what_there_is() {
    for args in [&[][..], &["wallet"], &["job"], &["task"]] {
        let home = Home::new(Kind::Empty);
        let told = home.run(args, false);
        assert_eq!(failure(&told, false), Ok((2, "usage".to_owned())));
        assert!(String::from_utf8_lossy(&told.stdout).contains("Commands:"), "{args:?}: {told:?}");
        assert!(failure(&home.run(args, true), true).is_ok());
    }
}
