//! Times as people type them: `90s`, `30m`, `1h30m`, `1.5h`, `1d`; and `18:30`.

use jiff::civil::Time;
use jiff::{ToSpan, Zoned};

/// Longer durations are taken for slips of the hand, seconds.
const LONGEST: u64 = 365 * 86_400;

/// Units, each with its names and seconds; larger ones first, as they are written.
const UNITS: [(&[&str], u64); 4] = [
    (&["d", "day", "days"], 86_400),
    (&["h", "hour", "hours"], 3_600),
    (&["m", "min", "minute", "minutes"], 60),
    (&["s", "sec", "second", "seconds"], 1),
];

/// Seconds in `text`, at least one and at most those of a year.
///
/// # Errors
/// With an example, when `text` is no duration, or has no unit.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is no duration: write 90s, 30m, 2h, 1h30m or 1d");
    let mut rest = text.trim();
    if !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("{rest} of what? Write {rest}s, {rest}m or {rest}h"));
    }
    let mut seconds = 0.0;
    let mut larger: Option<usize> = None;
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| c.is_alphabetic() || c == ' ').ok_or_else(wrong)?);
        let after = after.trim_start();
        let (unit, after) = after.split_at(after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len()));
        let unit = unit.to_ascii_lowercase();
        let at = UNITS.iter().position(|(names, _)| names.contains(&unit.as_str())).ok_or_else(wrong)?;
        let sound = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let number: f64 = number.parse().ok().filter(|_| sound).ok_or_else(wrong)?;
        // Each unit once, the larger before the smaller.
        if larger.replace(at).is_some_and(|before| before >= at) {
            return Err(wrong());
        }
        seconds += number * UNITS[at].1 as f64;
        rest = after.trim_start();
    }
    match seconds.round() {
        seconds if seconds < 1.0 => Err(wrong()),
        seconds if seconds > LONGEST as f64 => Err(format!("{text:?} is more than a year: write at most 365d")),
        seconds => Ok(seconds as u64),
    }
}

/// The unix second at which it is next `text` o'clock here.
///
/// # Errors
/// With an example, when `text` is no time of day.
pub(crate) fn next_time_of_day(text: &str) -> Result<u64, String> {
    next(text, &Zoned::now()).ok_or_else(|| format!("{text:?} is no time of day: write 18:30"))
}

fn next(text: &str, now: &Zoned) -> Option<u64> {
    let time = Time::strptime("%H:%M", text).ok()?;
    let today = now.date().to_datetime(time).to_zoned(now.time_zone().clone()).ok()?;
    let next = if today > *now {
        today
    } else {
        now.date().checked_add(1.day()).ok()?.to_datetime(time).to_zoned(now.time_zone().clone()).ok()?
    };
    u64::try_from(next.timestamp().as_second()).ok()
}

/// What to tell where the system's time zone is not known, so that times are in UTC.
pub(crate) fn unknown_zone() -> Option<String> {
    if jiff::tz::TimeZone::try_system().is_ok_and(|zone| !zone.is_unknown()) {
        return None;
    }
    let named = std::env::var("TZ").ok().filter(|zone| !zone.is_empty());
    let named = named.map_or_else(|| "of this system".to_owned(), |zone| format!("{zone:?} of the variable TZ"));
    Some(format!("the time zone {named} is unknown: times of day are in UTC until it is corrected"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_is_the_next_one() {
        let now: Zoned = "2026-11-25T18:00:00[Europe/Berlin]".parse().unwrap();
        let second = |text: &str| text.parse::<Zoned>().unwrap().timestamp().as_second() as u64;
        assert_eq!(next("18:30", &now), Some(second("2026-11-25T18:30:00[Europe/Berlin]")));
        assert_eq!(next("18:00", &now), Some(second("2026-11-26T18:00:00[Europe/Berlin]")));
        assert_eq!(next("7:05", &now), Some(second("2026-11-26T07:05:00[Europe/Berlin]")));
        assert!(next_time_of_day("25:00").is_err());
    }

    #[test]
    fn people_write_units() {
        for (text, seconds) in [
            ("90s", 90),
            ("30m", 1_800),
            ("90 min", 5_400),
            ("2h", 7_200),
            ("1h30m", 5_400),
            ("1h 30m", 5_400),
            ("1.5h", 5_400),
            ("0.5d", 43_200),
            ("1d2h3m4s", 93_784),
            ("2 hours", 7_200),
            ("2H", 7_200),
            ("365d", 31_536_000),
        ] {
            assert_eq!(parse(text), Ok(seconds), "{text}");
        }
        let not = [
            "", "0s", "h", "-1h", "2w", "1h2h", "30m1h", "1h30", "1..5h", "1e3h", "nanh", "infd", "0.1s", "h1", "½h",
            "1,5h",
        ];
        for wrong in not {
            assert!(parse(wrong).is_err_and(|told| told.contains("write 90s, 30m")), "{wrong:?}: {:?}", parse(wrong));
        }
    }

    #[test]
    fn a_number_without_a_unit_is_asked_for_one_and_no_duration_is_longer_than_a_year() {
        assert_eq!(parse("2"), Err("2 of what? Write 2s, 2m or 2h".to_owned()));
        for long in ["366d", "2399999999976h", "99999999999999999999h", "365d1s"] {
            assert!(parse(long).is_err_and(|told| told.contains("at most 365d")), "{long}");
        }
    }
}
