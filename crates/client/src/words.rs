//! Sentences for what the engine says in codes and values, from the one table of messages that the window reads too.
//!
//! A sentence is looked up by the code and its case: `detail.on_battery.charge_low`, else `detail.on_battery`. The first of
//! these whose `{placeholders}` all have values is taken; `….bare` is the form without values.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::view::{Measure, Reason, ReasonCode, Snapshot, UnattachedView, Unit};
use crate::wire::{self, Hello};

const ENGLISH: &str = include_str!("../../../ui/src/messages/en.json");
const GERMAN: &str = include_str!("../../../ui/src/messages/de.json");

/// All sentences in one language.
#[derive(Debug, Clone)]
pub struct Words(BTreeMap<String, String>);

impl Words {
    #[must_use]
    pub fn english() -> Self {
        Self::read(ENGLISH)
    }

    /// In the language of a POSIX locale such as `de_AT.UTF-8`; English where Surge does not speak it.
    #[must_use]
    pub fn of(locale: &str) -> Self {
        let language = locale.split(['_', '.', '@', '-']).next().unwrap_or_default();
        Self::read(if language.eq_ignore_ascii_case("de") { GERMAN } else { ENGLISH })
    }

    fn read(file: &str) -> Self {
        Self(serde_json::from_str(file).expect("the message files are flat JSON objects, as the tests read them"))
    }

    /// The sentence; the key itself where the table lacks it, which the tests rule out.
    #[must_use]
    pub fn say<'a>(&'a self, key: &'a str) -> &'a str {
        self.0.get(key).map_or(key, String::as_str)
    }

    /// The sentence with its placeholders filled in; `None` when there is none, or a value is missing.
    fn filled(&self, key: &str, values: &[(&str, String)]) -> Option<String> {
        let mut filled = String::new();
        let mut rest = self.0.get(key)?.as_str();
        // In one pass, so that a value that looks like a placeholder stays what it is.
        while let Some((before, after)) = rest.split_once('{') {
            let (name, behind) = after.split_once('}')?;
            let (_, value) = values.iter().find(|(known, _)| *known == name)?;
            filled.push_str(before);
            filled.push_str(value);
            rest = behind;
        }
        Some(filled + rest)
    }

    /// One or many: `key.one`, `key.other` with `{count}`.
    #[must_use]
    pub fn count(&self, key: &str, count: usize) -> String {
        let form = if count == 1 { "one" } else { "other" };
        self.say(&format!("{key}.{form}")).replace("{count}", &count.to_string())
    }

    /// What waits for a network that is not attached any more.
    #[must_use]
    pub fn unattached(&self, network: &UnattachedView) -> String {
        let name = network.name.as_deref().unwrap_or_else(|| self.say("tasks.unattached.unnamed"));
        self.count("tasks.unattached", network.undelivered as usize).replace("{network}", name)
    }

    /// The one sentence that tray tooltip, window and CLI show, as of `snapshot.at`.
    #[must_use]
    pub fn headline(&self, snapshot: &Snapshot) -> String {
        self.headline_about(snapshot, snapshot.reasons.first())
    }

    /// The same without the name of a program: for what everybody on a computer can read.
    #[must_use]
    pub fn headline_without_program(&self, snapshot: &Snapshot) -> String {
        self.headline_about(snapshot, snapshot.reasons.first().map(Reason::without_program).as_ref())
    }

    fn headline_about(&self, snapshot: &Snapshot, reason: Option<&Reason>) -> String {
        let running = snapshot.running();
        if running > 0 {
            let key = if snapshot.finishing { "headline.finishing" } else { "headline.earning" };
            return self.count(key, running);
        }
        match reason {
            None => self.say("headline.ready").to_owned(),
            Some(reason) => self.sentence(reason, snapshot.at, snapshot.finishing),
        }
    }

    /// What a reason means for work, as a whole sentence. `finishing`: the running tasks end, then it pauses.
    #[must_use]
    pub fn sentence(&self, reason: &Reason, now: u64, finishing: bool) -> String {
        let Some(why) = self.looked_up("why", reason, now) else {
            let sentence = self.looked_up("headline", reason, now);
            return sentence.unwrap_or_else(|| self.say("headline.unknown").to_owned());
        };
        let key = if finishing { "headline.waiting_to_finish" } else { "headline.waiting" };
        self.say(key).replace("{why}", &why)
    }

    /// The condition, with its value against the limit.
    #[must_use]
    pub fn detail(&self, reason: &Reason) -> String {
        self.looked_up("detail", reason, 0).unwrap_or_else(|| self.say("detail.unknown").to_owned())
    }

    /// What the owner can do.
    #[must_use]
    pub fn remedy(&self, reason: &Reason) -> String {
        self.looked_up("remedy", reason, 0).unwrap_or_else(|| self.say("remedy.unknown").to_owned())
    }

    fn looked_up(&self, table: &str, reason: &Reason, now: u64) -> Option<String> {
        let key = format!("{table}.{}", reason.code.name());
        let case =
            reason.case.and_then(|case| serde_json::to_value(case).ok()?.as_str().map(|case| format!("{key}.{case}")));
        let values = self.values(reason, now);
        case.iter()
            .chain([&key])
            .flat_map(|key| [key.clone(), format!("{key}.bare")])
            .find_map(|key| self.filled(&key, &values))
    }

    fn values(&self, reason: &Reason, now: u64) -> Vec<(&'static str, String)> {
        let measured = reason
            .measure
            .map(|it| [("value", self.amount(it.value, it.unit)), ("limit", self.amount(it.limit, it.unit))]);
        let left = reason.until.map(|until| ("left", self.span(until.saturating_sub(now))));
        let texts = [("subject", &reason.subject), ("said", &reason.said)];
        let texts = texts.into_iter().filter_map(|(name, text)| text.clone().map(|text| (name, text)));
        measured.into_iter().flatten().chain(left).chain(texts).collect()
    }

    /// A value against its limit: `now 30 s, limit 3 min`.
    #[must_use]
    pub fn amounts(&self, measure: Measure) -> [String; 2] {
        [measure.value, measure.limit].map(|value| self.amount(value, measure.unit))
    }

    fn amount(&self, value: i64, unit: Unit) -> String {
        let key = match unit {
            Unit::Seconds => return self.span(u64::try_from(value).unwrap_or(0)),
            Unit::Percent => "unit.percent",
            Unit::Celsius => "unit.celsius",
            Unit::Mebibytes => "unit.mebibytes",
            Unit::Unknown => "unit.unknown",
        };
        self.say(key).replace("{n}", &value.to_string())
    }

    /// A time in the largest unit that says enough, rounded up: `2 h 5 min`, `25 min`, `40 s`.
    #[must_use]
    pub fn span(&self, seconds: u64) -> String {
        let of = |unit: &str, n: u64| self.say(unit).replace("{n}", &n.to_string());
        let minutes = seconds.div_ceil(60);
        match (minutes / 60, minutes % 60) {
            (0, _) if seconds < 60 => of("unit.seconds", seconds),
            (0, minutes) => of("unit.minutes", minutes),
            (hours, 0) => of("unit.hours", hours),
            (hours, minutes) => format!("{} {}", of("unit.hours", hours), of("unit.minutes", minutes)),
        }
    }

    /// A stretch of the timeline, from the names of its state and first reason.
    #[must_use]
    pub fn stretch(&self, state: &str, reason: &str) -> String {
        if let Some(said) = self.0.get(&format!("stretch.{state}")).filter(|_| state != "paused") {
            return said.clone();
        }
        match serde_json::from_value(reason.into()) {
            Ok(ReasonCode::Paused) => self.say("stretch.paused").to_owned(),
            Ok(ReasonCode::Unknown) | Err(_) if reason.is_empty() => self.say("headline.ready").to_owned(),
            Ok(ReasonCode::Unknown) | Err(_) => format!("{state} {reason}").trim().to_owned(),
            Ok(code) => self.sentence(&Reason::new(code), 0, false),
        }
    }

    /// What to say when the engine is of another version than this program, `own`.
    #[must_use]
    pub fn skew(&self, hello: &Hello, own: &str) -> Option<String> {
        let key = match age(hello, own) {
            Ordering::Equal => return None,
            Ordering::Greater => "skew.engine_newer",
            Ordering::Less => "skew.engine_older",
        };
        Some(self.say(key).replace("{engine}", &hello.version).replace("{own}", own))
    }
}

/// How the engine's version compares with that of this program, `own`: `Greater` is a newer engine.
#[must_use]
pub fn age(hello: &Hello, own: &str) -> Ordering {
    hello.surge.cmp(&wire::VERSION).then_with(|| order(&hello.version).cmp(&order(own)))
}

/// Versions as numbers, `0.10.2` after `0.9.9`. What follows the numbers (`0.1.0 (abc123)`) does not count.
fn order(version: &str) -> Vec<u64> {
    let numbers = version.split([' ', '+', '-']).next().unwrap_or_default();
    numbers.split('.').map(|part| part.parse().unwrap_or(0)).collect()
}

#[cfg(test)]
mod tests;
