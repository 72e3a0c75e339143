//! The arrows between modules of one crate, where the design has some: what the engine decides with imports nothing of the
//! engine that does it.
//!
//! It reads text: `crate::NAME` outside of comments is an import. Tests may import anything.

/// Where the modules are.
pub(super) const SOURCES: &str = "crates/contributor/src/";
/// Which modules decide, and which others each may import.
const ARROWS: &[(&str, &[&str])] = &[
    ("gate", &["view", "schedule"]),
    ("governor", &["view", "gate"]),
    ("schedule", &[]),
    ("plan", &["gate"]),
    ("wish", &["gate"]),
];
/// How the tests within a file begin. They are its end.
const TESTS: &str = "#[cfg(test)]\nmod tests {";

/// The imports in `file` with this text that its module may not have.
pub(super) fn wrong_arrows(file: &str, text: &str) -> Vec<String> {
    let path = file.strip_prefix(SOURCES).and_then(|path| path.strip_suffix(".rs"));
    let names: Vec<_> = path.into_iter().flat_map(|path| path.split('/')).collect();
    let arrow = ARROWS.iter().find(|(module, _)| names.first() == Some(module));
    let Some((module, allowed)) = arrow.filter(|_| !names.contains(&"tests")) else { return Vec::new() };
    // From here so many `super` lead out of the module.
    let out = "super::".repeat(names.len());
    let shipped = text.split(TESTS).next().unwrap_or_default();
    let mut problems = Vec::new();
    for line in shipped.lines().filter(|line| !line.trim_start().starts_with("//")) {
        for import in line.split("crate::").skip(1).map(first_name) {
            if import.is_empty() {
                problems.push(format!("{file}: name each module in a line of its own, `use crate::NAME`"));
            } else if import != *module && !allowed.contains(&import) {
                problems.push(format!("{file}: {module} may not import {import}"));
            }
        }
        if line.contains(&out) {
            problems.push(format!("{file}: write `crate::`, not `{out}`, for another module"));
        }
    }
    problems
}

fn first_name(path: &str) -> &str {
    let end = path.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
    end.map_or(path, |end| &path[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_import_that_the_table_does_not_have_is_named() {
        let wrong = |file: &str, text: &str| wrong_arrows(&format!("{SOURCES}{file}"), text);
        let named =
            |file: &str, module: &str, import: &str| [format!("{SOURCES}{file}: {module} may not import {import}")];
        assert_eq!(
            wrong("gate.rs", "use crate::view::Reason;\nuse crate::work::Work;\n"),
            named("gate.rs", "gate", "work")
        );
        assert_eq!(wrong("gate/heat.rs", "let at = crate::clock::unix_now();"), named("gate/heat.rs", "gate", "clock"));
        assert_eq!(wrong("schedule.rs", "    use crate::gate::Limits;"), named("schedule.rs", "schedule", "gate"));
        // The tests of this file are another one.
        let text = "#[cfg(test)]\nmod tests;\n\nuse crate::engine::Input;\n";
        assert_eq!(wrong("plan.rs", text), named("plan.rs", "plan", "engine"));
    }

    #[test]
    fn no_other_spelling_gets_past_it() {
        let wrong = |file: &str, text: &str| wrong_arrows(&format!("{SOURCES}{file}"), text).len();
        assert_eq!(wrong("wish.rs", "use crate::{engine::Input, gate::Intent};"), 1);
        assert_eq!(wrong("wish.rs", "use super::engine::Input;"), 1);
        assert_eq!(wrong("plan/task.rs", "use super::super::engine::Input;"), 1);
    }

    #[test]
    fn what_the_table_has_and_what_only_tests_import_is_free() {
        let free = |file: &str, text: &str| assert_eq!(wrong_arrows(&format!("{SOURCES}{file}"), text), [""; 0]);
        free(
            "gate.rs",
            "//! Not the [governor](crate::governor)'s.\nuse crate::schedule::Schedule;\nuse crate::view::Reason;\n",
        );
        free("plan/task.rs", "use super::Moment;\nuse crate::gate::NewWork;\nuse crate::plan::Why;\n");
        free(
            "wish.rs",
            "use crate::gate::Intent;\n\n#[cfg(test)]\nmod tests {\n    use super::*;\n    use crate::engine::Input;\n}\n",
        );
        free("plan/tests/cases.rs", "use crate::store::Store;");
        free("engine.rs", "use crate::work::Work;");
    }
}
