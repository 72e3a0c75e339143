//! Tests over what Rust and the window share: the table of messages, and the types of a view.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde::Serialize;
use surge_client::view::{Case, ReasonCode, State, Unit};
use ts_rs::TS;

use crate::lost::{Lost, LostCode};
use crate::pause::PauseChoice;
use crate::view::{Failure, Skew, SkewCode, View};

const TABLE: &str = include_str!("../../ui/src/messages/en.json");

/// All that is written in these folders but tests.
fn sources(folders: &[&str]) -> String {
    let mut texts = String::new();
    let mut folders: Vec<_> =
        folders.iter().map(|folder| Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder)).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let ends = |end: &str| path.to_string_lossy().ends_with(end);
            if path.is_dir() {
                folders.push(path);
            } else if [".rs", ".ts", ".svelte"].into_iter().any(ends) && !ends("tests.rs") && !ends("messages.rs") {
                texts.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    texts
}

fn name(of: impl Serialize) -> String {
    serde_json::to_value(of).unwrap().as_str().unwrap().to_owned()
}

/// The words of an enum, as TypeScript lists them.
fn names<T: TS>() -> Vec<String> {
    T::inline(&ts_rs::Config::new()).split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The keys that are made from codes.
fn made() -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for code in ReasonCode::ALL.map(name) {
        keys.insert(format!("reason.{code}"));
        for table in ["headline", "why", "detail", "remedy"] {
            keys.insert(format!("{table}.{code}"));
            keys.extend(names::<Case>().iter().map(|case| format!("{table}.{code}.{case}")));
        }
    }
    for code in LostCode::ALL.map(LostCode::name) {
        keys.extend(["", ".detail", ".remedy"].map(|part| format!("lost.{code}{part}")));
    }
    keys.extend(PauseChoice::ALL.map(|choice| format!("pause.{}", choice.name())));
    keys.extend(names::<State>().iter().flat_map(|state| [format!("state.{state}"), format!("stretch.{state}")]));
    keys.extend(names::<Unit>().iter().map(|unit| format!("unit.{unit}")));
    keys.extend(names::<SkewCode>().iter().map(|code| format!("skew.{code}")));
    keys
}

#[test]
fn every_message_is_said_somewhere() {
    let made = made();
    let shells = sources(&["ui/src", "src-tauri/src", "crates/client/src", "crates/cli/src"]);
    let engine = sources(&["src-tauri/src", "crates/client/src", "crates/contributor/src"]);
    let literal = |text: &str, word: &str| text.contains(&format!("\"{word}\""));
    let said = |key: &str| {
        let plain = key.trim_end_matches(".bare");
        let counted = key.trim_end_matches(".one").trim_end_matches(".other");
        // Codes of refusals, and names in the timeline, that are made elsewhere.
        let of_engine = ["failed.", "stretch."].into_iter().find_map(|table| key.strip_prefix(table));
        made.contains(plain) || literal(&shells, counted) || of_engine.is_some_and(|word| literal(&engine, word))
    };
    let table: serde_json::Map<String, serde_json::Value> = serde_json::from_str(TABLE).unwrap();
    let unsaid: Vec<_> = table.keys().filter(|key| !said(key)).collect();
    assert!(unsaid.is_empty(), "nobody says {unsaid:?}");
}

#[test]
fn the_window_knows_the_same_types() {
    // Layout and comments are the window's own.
    let plain = |text: &str| -> String {
        let mut text = text.to_owned();
        while let Some((before, after)) = text.clone().split_once("/**") {
            text = before.to_owned() + after.split_once("*/").unwrap().1;
        }
        text.replace(';', ",").split_whitespace().collect()
    };
    let config = ts_rs::Config::new();
    let declared = [
        PauseChoice::decl(&config),
        LostCode::decl(&config),
        Lost::decl(&config),
        SkewCode::decl(&config),
        Skew::decl(&config),
        Failure::decl(&config),
        View::decl(&config),
    ];
    let window = plain(include_str!("../../ui/src/lib/backend/index.ts"));
    for types in declared {
        let wanted = plain(&format!("export {types}"));
        assert!(window.contains(&wanted), "ui/src/lib/backend/index.ts lacks: {types}");
    }
}
