//! Settings that can never let work run, or that say two things at once: refused when they are saved, with the pair.

use super::problem::Problem;
use super::{Machine, Settings};

/// Two settings that can't both be meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Contradiction {
    pair: [&'static str; 2],
    text: String,
}

/// Our own programs: one of them always runs.
const OURS: [&str; 3] = ["surge", "surge-desktop", "surge-worker"];

impl Contradiction {
    /// With the lines of both where the file has them.
    pub(super) fn told(self, line: impl Fn(&str) -> Option<usize>) -> Problem {
        let lines = self.pair.map(line);
        let [first, second] = self.pair;
        let where_else = match lines {
            [Some(_), Some(other)] if lines[0] != lines[1] => format!(" (line {other})"),
            _ => String::new(),
        };
        let pair = if first == second { first.to_owned() } else { format!("{first} against {second}{where_else}") };
        Problem { line: lines[0].or(lines[1]), text: format!("{pair}: {}", self.text) }
    }
}

/// Every contradiction of valid settings.
pub(super) fn contradictions(it: &Settings, machine: &Machine) -> Vec<Contradiction> {
    let rule = |pair, wrong: bool, text: &dyn Fn() -> String| wrong.then(|| Contradiction { pair, text: text() });
    let (needed, memory) = (it.leave_free(machine) + (it.memory_mib << 20), machine.memory_bytes);
    let ours = OURS.iter().find(|program| it.excluded_programs.contains(**program));
    let both = it.excluded_programs.intersection(&it.ignored_programs).next();
    let found = [
        rule(
            ["other_load_resume_percent", "other_load_percent"],
            it.other_load_percent < 100 && it.other_load_resume_percent >= it.other_load_percent,
            &|| {
                format!(
                    "it would start again at {} % and stop above {} %",
                    it.other_load_resume_percent, it.other_load_percent
                )
            },
        ),
        rule(["memory_mib", "leave_free_mib"], memory > 0 && needed > memory, &|| {
            let (needed, memory) = (needed >> 20, memory >> 20);
            format!("together they need {needed} MiB, and this computer has {memory}: nothing could ever run")
        }),
        rule(["excluded_programs", "excluded_programs"], ours.is_some(), &|| {
            format!("{:?} is Surge itself: nothing could ever run", ours.unwrap_or(&""))
        }),
        rule(["excluded_programs", "ignored_programs"], both.is_some(), &|| {
            let both = both.map_or("", String::as_str);
            format!("{both:?} can't both stop the work and not count")
        }),
        rule(["in_use_cpu_percent", "cpu_percent"], it.in_use_cpu_percent > it.cpu_percent, &|| {
            "more would run while somebody is here than while nobody is".to_owned()
        }),
    ];
    found.into_iter().flatten().collect()
}
