//! When in the week work may run: windows of local time, each on some days, across midnight and clock changes.
//!
//! Deliberately absent: dates, holidays, the clock itself. A window belongs to the day on which it begins. Where a
//! clock change skips its begin or end, that moment moves with the clock; where one repeats it, the first one counts.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use jiff::{Span, Timestamp, Zoned};
use thiserror::Error;

const DAY: u16 = 24 * 60;
const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// The windows in which work may run. Without any, every moment is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Schedule(Vec<Window>);

/// From one time of day to another, on some days. `mon-fri 22:00-07:00` ends in the morning after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// One bit a day, Monday the lowest.
    days: u8,
    /// Minutes since midnight.
    from: u16,
    /// Minutes since midnight, up to 24:00; not later than `from` means on the next day.
    to: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ScheduleError {
    #[error("{0:?} is no window: write \"mon-fri 22:00-07:00\" or \"sat,sun 00:00-24:00\"")]
    Form(String),
    #[error("{0:?} is no day: write mon, tue, wed, thu, fri, sat, sun, or daily")]
    Day(String),
    #[error("{0:?} is no time of day: write {example}", example = example(.0))]
    Time(String),
    #[error("{0:?} begins when it ends: for a whole day write 00:00-24:00")]
    Empty(String),
}

impl Schedule {
    #[must_use]
    pub fn new(windows: Vec<Window>) -> Self {
        Self(windows)
    }

    #[must_use]
    pub fn windows(&self) -> &[Window] {
        &self.0
    }

    /// Whether work may run at `now`.
    #[must_use]
    pub fn allows(&self, now: &Zoned) -> bool {
        self.0.is_empty() || around(now, -1, 0).any(|date| self.spans_of(date, now).any(|span| span.holds(now)))
    }

    /// When the next window begins, at most eight days from `now`.
    #[must_use]
    pub fn next_start(&self, now: &Zoned) -> Option<Timestamp> {
        let starts = around(now, 0, 8).flat_map(|date| self.spans_of(date, now).map(|span| span.from));
        starts.filter(|start| *start > now.timestamp()).min()
    }

    fn spans_of<'a>(&'a self, date: Date, now: &'a Zoned) -> impl Iterator<Item = Moments> + 'a {
        let on_this_day = 1 << date.weekday().to_monday_zero_offset();
        self.0.iter().filter(move |window| window.days & on_this_day != 0).filter_map(move |it| it.on(date, now))
    }
}

/// The dates around that of `now`.
fn around(now: &Zoned, first: i64, last: i64) -> impl Iterator<Item = Date> {
    let today = now.date();
    (first..=last).filter_map(move |days| today.checked_add(Span::new().days(days)).ok())
}

/// A window on one date.
struct Moments {
    from: Timestamp,
    to: Timestamp,
}

impl Moments {
    fn holds(&self, now: &Zoned) -> bool {
        (self.from..self.to).contains(&now.timestamp())
    }
}

impl Window {
    /// The window that begins on `date`, in the time zone of `now`.
    fn on(&self, date: Date, now: &Zoned) -> Option<Moments> {
        let next = date.tomorrow().ok()?;
        let (end, to) = match self.to {
            DAY => (next, 0),
            to if to > self.from => (date, to),
            to => (next, to),
        };
        Some(Moments { from: moment(date, self.from, now)?, to: moment(end, to, now)? })
    }
}

fn moment(date: Date, minutes: u16, now: &Zoned) -> Option<Timestamp> {
    let time = date.at((minutes / 60) as i8, (minutes % 60) as i8, 0, 0);
    Some(time.to_zoned(now.time_zone().clone()).ok()?.timestamp())
}

impl FromStr for Window {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        let form = || ScheduleError::Form(text.to_owned());
        let (days, times) = text.trim().rsplit_once(' ').ok_or_else(form)?;
        let (from, to) = times.split_once('-').ok_or_else(form)?;
        let window = Self { days: parse_days(days)?, from: parse_time(from)?, to: parse_time(to)? };
        if window.from == window.to || window.from == DAY {
            return Err(ScheduleError::Empty(text.to_owned()));
        }
        Ok(window)
    }
}

fn parse_days(text: &str) -> Result<u8, ScheduleError> {
    let mut days = 0;
    for part in text.split(',').map(str::trim) {
        days |= match part.split_once('-') {
            _ if part == "daily" => 0b111_1111,
            None => 1 << parse_day(part)?,
            Some((first, last)) => {
                let (first, last) = (parse_day(first.trim())?, parse_day(last.trim())?);
                // `fri-mon` goes over the weekend.
                let length = (last + 7 - first) % 7;
                (0..=length).fold(0, |days, n| days | 1 << ((first + n) % 7))
            }
        };
    }
    Ok(days)
}

fn parse_day(text: &str) -> Result<u8, ScheduleError> {
    let found = NAMES.iter().position(|name| text.eq_ignore_ascii_case(name));
    found.and_then(|at| u8::try_from(at).ok()).ok_or_else(|| ScheduleError::Day(text.to_owned()))
}

fn parse_time(text: &str) -> Result<u16, ScheduleError> {
    let wrong = || ScheduleError::Time(text.to_owned());
    let (hours, minutes) = text.split_once(':').ok_or_else(wrong)?;
    let plain = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    if !plain(hours) || !plain(minutes) {
        return Err(wrong());
    }
    let (hours, minutes): (u16, u16) = (hours.parse().map_err(|_| wrong())?, minutes.parse().map_err(|_| wrong())?);
    let all = hours * 60 + minutes;
    if minutes > 59 || all > DAY { Err(wrong()) } else { Ok(all) }
}

/// The time that was probably meant, with two digits each; else any.
fn example(text: &str) -> String {
    let meant = text.split_once(':').map(|(hours, minutes)| format!("{hours:0>2}:{minutes:0>2}"));
    meant.filter(|meant| parse_time(meant).is_ok()).unwrap_or_else(|| "07:30".to_owned())
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on = |day: usize| self.days & (1 << day) != 0;
        let mut first = true;
        let mut day = 0;
        while day < 7 {
            let run = (day..7).take_while(|day| on(*day)).count();
            if run > 0 {
                let comma = if std::mem::take(&mut first) { "" } else { "," };
                match run {
                    7 => f.write_str("daily")?,
                    1 => write!(f, "{comma}{}", NAMES[day])?,
                    _ => write!(f, "{comma}{}-{}", NAMES[day], NAMES[day + run - 1])?,
                }
            }
            day += run.max(1);
        }
        let time = |minutes: u16| (minutes / 60, minutes % 60);
        let ((h, m), (to_h, to_m)) = (time(self.from), time(self.to));
        write!(f, " {h:02}:{m:02}-{to_h:02}:{to_m:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn schedule(windows: &[&str]) -> Schedule {
        Schedule::new(windows.iter().map(|text| text.parse().unwrap()).collect())
    }

    fn at(text: &str) -> Zoned {
        text.parse().unwrap()
    }

    fn allowed(windows: &[&str], moment: &str) -> bool {
        schedule(windows).allows(&at(&format!("{moment}[Europe/Berlin]")))
    }

    #[test]
    fn a_night_belongs_to_the_day_on_which_it_begins() {
        let nights = ["mon-fri 22:00-07:00"];
        // 2026-11-27 is a Friday.
        assert!(!allowed(&nights, "2026-11-27T21:59:59"));
        assert!(allowed(&nights, "2026-11-27T22:00:00"));
        assert!(allowed(&nights, "2026-11-28T06:59:59"), "Friday's night ends on Saturday");
        assert!(!allowed(&nights, "2026-11-28T07:00:00"));
        assert!(!allowed(&nights, "2026-11-28T23:00:00"), "Saturday has no night");
        assert!(!allowed(&nights, "2026-11-30T05:00:00"), "nor has Sunday");
    }

    #[test]
    fn a_whole_day_has_no_gap_at_midnight() {
        let weekend = ["sat,sun 00:00-24:00"];
        for moment in ["2026-11-28T00:00:00", "2026-11-28T23:59:59", "2026-11-29T00:00:00", "2026-11-29T23:59:59"] {
            assert!(allowed(&weekend, moment), "{moment}");
        }
        assert!(!allowed(&weekend, "2026-11-30T00:00:00"));
    }

    #[test]
    fn no_window_allows_every_moment() {
        assert!(allowed(&[], "2026-11-28T12:00:00"));
        assert_eq!(schedule(&[]).next_start(&at("2026-11-28T12:00:00[Europe/Berlin]")), None);
    }

    #[test]
    fn spring_skips_an_hour_of_the_night() {
        // 2026-03-29, 02:00 becomes 03:00: the night is an hour shorter and has no hole.
        let night = schedule(&["sat 23:00-05:00"]);
        let mut now = at("2026-03-28T23:00:00[Europe/Berlin]");
        let end = at("2026-03-29T05:00:00[Europe/Berlin]");
        let mut minutes = 0;
        while now < end {
            assert!(night.allows(&now), "{now}");
            now = now.checked_add(Span::new().minutes(1)).unwrap();
            minutes += 1;
        }
        assert!(!night.allows(&end));
        assert_eq!(minutes, 5 * 60);
    }

    #[test]
    fn a_begin_that_spring_skips_moves_with_the_clock() {
        let early = schedule(&["sun 02:30-05:00"]);
        assert!(!early.allows(&at("2026-03-29T03:29:00[Europe/Berlin]")));
        assert!(early.allows(&at("2026-03-29T03:30:00[Europe/Berlin]")));
        assert!(early.allows(&at("2026-04-05T02:30:00[Europe/Berlin]")), "a week later it is as written");
    }

    #[test]
    fn autumn_repeats_an_hour_and_the_first_end_counts() {
        let early = schedule(&["sun 01:00-02:30"]);
        assert!(early.allows(&at("2026-10-25T02:29:00+02:00[Europe/Berlin]")));
        assert!(!early.allows(&at("2026-10-25T02:29:00+01:00[Europe/Berlin]")), "the second time round it is over");
        let through = schedule(&["sat 23:00-05:00"]);
        assert!(through.allows(&at("2026-10-25T02:29:00+01:00[Europe/Berlin]")));
    }

    #[test]
    fn it_knows_when_the_next_window_begins() {
        let nights = schedule(&["mon-fri 22:00-07:00"]);
        let next = |moment: &str| nights.next_start(&at(moment)).unwrap();
        assert_eq!(next("2026-11-27T12:00:00[Europe/Berlin]"), at("2026-11-27T22:00:00[Europe/Berlin]").timestamp());
        assert_eq!(next("2026-11-28T12:00:00[Europe/Berlin]"), at("2026-11-30T22:00:00[Europe/Berlin]").timestamp());
    }

    #[test]
    fn what_is_no_window_is_told_with_an_example() {
        let error = |text: &str| text.parse::<Window>().unwrap_err().to_string();
        for text in
            ["", "22:00-07:00", "mon 22:00", "mon 22-07", "mon 25:00-26:00", "mon 7:00-08:00", "mon 07:60-08:00"]
        {
            assert!(error(text).contains("write"), "{text}");
        }
        assert!(error("someday 22:00-07:00").contains("someday"));
        assert!(error("mon 22:00-22:00").contains("00:00-24:00"));
        assert!(error("mon 24:00-07:00").contains("00:00-24:00"));
    }

    proptest! {
        #[test]
        fn a_window_is_read_as_it_is_written(days in 1u8..128, from in 0u16..DAY, to in 0u16..=DAY) {
            prop_assume!(from != to);
            let window = Window { days, from, to };
            prop_assert_eq!(window.to_string().parse::<Window>().unwrap(), window);
        }

        #[test]
        fn the_next_start_is_allowed_and_the_moment_before_it_is_not(
            days in 1u8..128, from in 0u16..DAY, to in 0u16..=DAY, minute in 0i64..(366 * 1440),
        ) {
            prop_assume!(from != to);
            let schedule = Schedule::new(vec![Window { days, from, to }]);
            let now = at("2026-01-01T00:00:00[America/New_York]").checked_add(Span::new().minutes(minute)).unwrap();
            let start = schedule.next_start(&now).unwrap().to_zoned(now.time_zone().clone());
            prop_assert!(start > now);
            prop_assert!(schedule.allows(&start));
            if !schedule.allows(&now) {
                let before = start.checked_sub(Span::new().seconds(1)).unwrap();
                prop_assert!(!schedule.allows(&before));
            }
        }
    }
}
