//! Times as people type them: `90s`, `30m`, `2h`, `1d`, or seconds; and `18:30`.

use jiff::civil::Time;
use jiff::{ToSpan, Zoned};

/// Seconds in `text`.
///
/// # Errors
/// With an example, when `text` is no duration.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = match unit {
        "" | "s" => 1,
        "m" | "min" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(wrong(text)),
    };
    number.parse::<u64>().ok().and_then(|n| n.checked_mul(factor)).filter(|n| *n > 0).ok_or_else(|| wrong(text))
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

fn wrong(text: &str) -> String {
    format!("{text:?} is no duration: write 90s, 30m, 2h or 1d")
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
        assert_eq!(parse("45"), Ok(45));
        assert_eq!(parse("30m"), Ok(1_800));
        assert_eq!(parse("2h"), Ok(7_200));
        for wrong in ["", "0", "h", "-1h", "2w", "99999999999999999999h"] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
