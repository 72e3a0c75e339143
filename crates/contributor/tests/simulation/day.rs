//! A day in the life of a laptop, with the settings that a newcomer has. For every second of it the script below says
//! what must be the first reason not to work, and there must be one exactly then.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use jiff::{Span, Zoned};
use surge_client::view::ReasonCode::{self, *};
use surge_contributor::gate::{Answer, Decision, GateMemory, Intent, Moment, NewWork, decide};
use surge_contributor::governor::{Drive, Governor, govern};
use surge_contributor::settings::{Machine, Settings};
use surge_platform::conditions::{Conditions, Disturbance, Foreground, Network, Power, Reading, Thermal, Use};
use surge_platform::load::Load;
use surge_platform::presence::Presence;

use crate::model::{Cooling, Warmth};
use crate::plot::{Plot, checked_in};

const LAPTOP: Machine = Machine { cores: 8, memory_bytes: 16 << 30, portable: true };
const COOLING: Cooling = Cooling { full: 80.0, quick: 0.4, seconds: 60.0, lag: 3.0, step: 1.0, room: 22.0 };
/// With a blanket over it no governor can keep it cool.
const BLANKET: std::ops::Range<u32> = at(16, 40, 0)..at(17, 15, 0);
const ASLEEP: std::ops::Range<u32> = at(17, 30, 0)..at(18, 30, 0);

const fn at(hour: u32, minute: u32, second: u32) -> u32 {
    hour * 3600 + minute * 60 + second
}

/// From when on what must be the first reason; `None` is work. The hot afternoon's stop is the model's to time.
const EXPECTED: &[(u32, Option<ReasonCode>)] = &[
    (at(0, 0, 0), None),
    (at(6, 45, 0), Some(UserActive)),
    (at(7, 32, 55), None),
    (at(8, 30, 0), Some(UserActive)),
    // Coffee.
    (at(10, 17, 55), None),
    (at(10, 30, 0), Some(UserActive)),
    // Lunch.
    (at(12, 2, 55), None),
    (at(13, 0, 0), Some(Call)),
    // Onto the sofa.
    (at(14, 0, 0), Some(UserActive)),
    (at(14, 22, 55), Some(OnBattery)),
    (at(15, 30, 9), None),
    (at(18, 30, 0), Some(Disturbed)),
    (at(18, 33, 0), None),
    (at(18, 35, 0), Some(OtherUser)),
    (at(19, 30, 0), Some(UserActive)),
    (at(19, 33, 55), Some(Film)),
    (at(20, 30, 10), Some(FullScreen)),
    (at(22, 0, 29), None),
    // The backup is busy for ten seconds before it counts, and a minute after.
    (at(22, 5, 10), Some(OtherLoad)),
    (at(22, 15, 59), None),
    // Music behind a locked screen is nobody.
    (at(22, 30, 0), Some(UserActive)),
    (at(22, 33, 0), None),
    (at(23, 40, 0), Some(Paused)),
    (at(23, 45, 0), None),
];

const SCENES: &[(u32, &str)] = &[
    (at(0, 0, 0), "night"),
    (at(6, 45, 0), "typing"),
    (at(7, 30, 0), "away"),
    (at(8, 30, 0), "typing"),
    (at(10, 15, 0), "coffee"),
    (at(10, 30, 0), "typing"),
    (at(12, 0, 0), "lunch"),
    (at(13, 0, 0), "call"),
    (at(14, 0, 0), "battery"),
    (at(15, 30, 0), "away"),
    (at(16, 0, 0), "hot afternoon"),
    (at(17, 30, 0), "sleep"),
    (at(18, 30, 0), "other user"),
    (at(19, 30, 0), "film"),
    (at(20, 30, 10), "game"),
    (at(22, 0, 0), "night, a backup"),
];

/// The computer and the people around it, as the script has them at `second`.
struct World {
    conditions: Conditions,
    warmth: Warmth,
    last_input: Instant,
    intent: Intent,
}

impl World {
    fn new(now: Instant) -> Self {
        let conditions = Conditions {
            presence: Reading::new(Presence::Active, "x11", now),
            power: Reading::new(Power::Mains, "sysfs", now),
            thermal: Reading::new(Thermal { celsius: None, critical: Some(100.0), frequency: None }, "hwmon", now),
            load: Reading::new(Load { cpu_percent: 3.0, available_bytes: 9 << 30, memory_pressure: None }, "proc", now),
            foreground: Reading::new(Foreground::default(), "x11", now),
            network: Reading::new(Network::Free, "nm", now),
            disturbed: None,
        };
        let last_input = now - Duration::from_secs(3600);
        Self { conditions, warmth: Warmth::new(COOLING), last_input, intent: Intent::Run }
    }

    fn live(&mut self, second: u32, now: Instant, unix: u64) {
        let within = |from: u32, to: u32| (from..to).contains(&second);
        let typing = [(6, 45, 7, 30), (8, 30, 10, 15), (10, 30, 12, 0), (14, 0, 14, 20), (19, 30, 19, 31)];
        let typing = typing.into_iter().any(|(h, m, to_h, to_m)| within(at(h, m, 0), at(to_h, to_m, 0)));
        if (typing && second.is_multiple_of(5)) || second == at(22, 30, 0) {
            self.last_input = now;
        }
        let it = &mut self.conditions;
        for reading in
            [&mut it.presence.at, &mut it.power.at, &mut it.thermal.at, &mut it.load.at, &mut it.foreground.at]
        {
            *reading = now;
        }
        it.presence.value = match now - self.last_input < Duration::from_secs(180) {
            _ if within(at(18, 35, 0), at(19, 30, 0)) => Presence::OtherUser,
            true => Presence::Active,
            false => Presence::IdleSince(self.last_input),
        };
        it.power.value = match second {
            _ if within(at(14, 0, 0), at(15, 30, 0)) => {
                Power::Battery { percent: u8::try_from(95 - (second - at(14, 0, 0)) / 300).ok() }
            }
            _ => Power::Mains,
        };
        let uses = &mut it.foreground.value.uses;
        uses.clear();
        if within(at(13, 0, 0), at(14, 0, 0)) {
            uses.push(Use::Call("jitsi".into()));
        }
        if within(at(19, 31, 0), at(20, 30, 0)) {
            uses.push(Use::Inhibited("mpv".into()));
        }
        if within(at(20, 30, 10), at(22, 0, 0)) {
            uses.extend([Use::FullScreen("supertuxkart".into()), Use::Gamepad("pad".into())]);
        }
        it.foreground.value.locked = second >= at(22, 30, 0);
        if it.foreground.value.locked {
            uses.push(Use::Inhibited("music player".into()));
        }
        it.load.value.cpu_percent = if within(at(22, 5, 0), at(22, 15, 0)) { 70.0 } else { 3.0 };
        it.network.value = if within(at(23, 20, 0), at(23, 30, 0)) { Network::Metered } else { Network::Free };
        if second == ASLEEP.end {
            it.disturbed = Some((Disturbance::Woke, now));
        }
        if second == at(23, 40, 0) {
            self.intent = Intent::Paused { until: Some(unix + 300) };
        }
        self.warmth.set_room(room(second));
        if second.is_multiple_of(2) {
            it.thermal.value.celsius = Some(self.warmth.told());
        }
    }
}

/// The sun comes round from 16:00, a blanket at 16:40 keeps all heat in until 16:50; by 17:15 it is over.
fn room(second: u32) -> f64 {
    let minutes = (f64::from(second) - f64::from(at(16, 0, 0))) / 60.0;
    if !(0.0..75.0).contains(&minutes) {
        return COOLING.room;
    }
    let sun = COOLING.room + (minutes / 2.0).min(18.0);
    if (40.0..50.0).contains(&minutes) { sun + ((minutes - 40.0) * 6.0).min(46.0) } else { sun }
}

/// One second of the day.
struct Second {
    second: u32,
    load: f64,
    celsius: f64,
    answer: Answer,
    drive: Drive,
    told: f32,
}

fn live() -> Vec<Second> {
    let limits = Settings::default().limits(&LAPTOP);
    let midnight: Zoned = "2026-11-25T00:00:00[Europe/Berlin]".parse().unwrap();
    let begun = Instant::now() + Duration::from_secs(100_000);
    let (mut world, mut gate, mut governor) = (World::new(begun), GateMemory::default(), Governor::default());
    let mut day = Vec::new();
    for (awake, second) in (0..).zip((0..86_400).filter(|second| !ASLEEP.contains(second))) {
        // The clock that measures stands still while the computer sleeps.
        let now = begun + Duration::from_secs(awake);
        let local = midnight.checked_add(Span::new().seconds(i64::from(second))).unwrap();
        let moment = Moment { at: now, local, idle: None, tasks: 4, may_take: 0 };
        if second == ASLEEP.end {
            // Over an hour it cools down.
            world.warmth = Warmth::new(COOLING);
        }
        world.live(second, now, moment.unix());
        let (answer, after) = decide(&limits, &world.conditions, world.intent, gate, &moment);
        gate = after;
        let budget = match answer.decision {
            Decision::Run(budget) => Some(budget),
            Decision::Hold(_) => None,
        };
        let (drive, after) = govern(&limits, budget, &world.conditions.thermal.value, governor, now);
        governor = after;
        let load = drive.budget.map_or(0.0, |it| f64::from(it.share) * f64::from(it.workers) / 4.0);
        world.warmth.second(load);
        let told = world.conditions.thermal.value.celsius.unwrap();
        day.push(Second { second, load, celsius: world.warmth.celsius(), answer, drive, told });
    }
    day
}

fn first(answer: &Answer) -> Option<ReasonCode> {
    match &answer.decision {
        Decision::Run(_) => None,
        Decision::Hold(reasons) => Some(reasons.first().expect("a hold has a reason").code),
    }
}

fn clock(second: u32) -> String {
    format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
}

#[test]
fn every_second_of_the_day_is_as_the_script_says() {
    let day = live();
    let (mut hot, mut cool_for) = (false, 0);
    let mut past: VecDeque<f64> = VecDeque::new();
    for it in &day {
        let when = clock(it.second);
        let scripted = EXPECTED.iter().rev().find(|(from, _)| *from <= it.second).expect("the day begins at 0").1;
        // The hard stop: from 85 °C until a minute at 67 °C or less has passed.
        cool_for = if it.told <= 67.0 { cool_for + 1 } else { 0 };
        hot = if hot { cool_for < 60 } else { it.told >= 85.0 };
        let expected = scripted.or(hot.then_some(Hot));
        assert_eq!(first(&it.answer), expected, "{when} at {} °C", it.told);

        assert_eq!(it.load == 0.0, expected.is_some(), "{when}: load {}", it.load);
        let budget = it.drive.budget;
        assert!(budget.is_none_or(|it| it.workers <= 4 && it.share <= 1.0), "{when}: {budget:?}");
        past.push_back(it.load);
        if past.len() > 11 {
            past.pop_front();
        }
        let lowest = past.iter().copied().fold(f64::MAX, f64::min);
        assert!(it.load - lowest <= 0.12, "{when}: from {lowest} to {} in ten seconds", it.load);
        let limit = if BLANKET.contains(&it.second) { 95.0 } else { 76.5 };
        assert!(it.celsius <= limit, "{when}: {} °C", it.celsius);
        let metered = (at(23, 20, 0)..at(23, 30, 9)).contains(&it.second);
        let begins = if metered { NewWork::Here } else { NewWork::Fetched };
        assert!(budget.is_none_or(|it| it.new_work == begins), "{when}: metered");
    }
    let mean = |from: u32, to: u32| {
        let part: Vec<_> = day.iter().filter(|it| (from..to).contains(&it.second)).map(|it| it.load).collect();
        part.iter().sum::<f64>() / part.len() as f64
    };
    let sustainable = (75.0 - COOLING.room) / COOLING.full;
    assert!(mean(at(2, 0, 0), at(6, 0, 0)) > 0.85 * sustainable, "{}", mean(at(2, 0, 0), at(6, 0, 0)));
    assert!(day.iter().any(|it| first(&it.answer) == Some(Hot)), "the blanket must show the hard stop");
    let warm = day.iter().any(|it| it.drive.lowered.as_ref().is_some_and(|reason| reason.code == Warm));
    assert!(warm, "the afternoon must show the governor");
}

#[test]
fn the_plot_of_the_day_is_what_happens() {
    let day = live();
    let mut plot = Plot::new("A day in the life of a laptop", 0.0..86_400.0, "hours", 3600.0, 3);
    let load = plot.panel("load of the workers, % of their budget", 0.0..100.0, &[]);
    let heat = plot.panel("processor, °C; target 75, hard stop 85", 20.0..100.0, &[75.0, 85.0]);
    for (number, (from, name)) in SCENES.iter().enumerate() {
        let to = SCENES.get(number + 1).map_or(86_400, |(next, _)| *next);
        plot.band(load, f64::from(*from), f64::from(to), name);
        plot.band(heat, f64::from(*from), f64::from(to), "");
    }
    plot.line(load, "load", day.iter().map(|it| (f64::from(it.second), it.load * 100.0)));
    plot.line(heat, "processor", day.iter().map(|it| (f64::from(it.second), it.celsius)));
    checked_in("day.svg", &plot.svg());
}
