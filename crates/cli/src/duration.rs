//! Durations as people type them: `90s`, `30m`, `2h`, `1d`, or seconds.

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

fn wrong(text: &str) -> String {
    format!("{text:?} is no duration: write 90s, 30m, 2h or 1d")
}

#[cfg(test)]
mod tests {
    use super::*;

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
