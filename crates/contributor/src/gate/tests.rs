use super::*;
use jiff::Span;
use proptest::prelude::*;
use surge_client::words::Words;
use surge_platform::conditions::{Disturbance, Foreground, Network, Power, Reading, Thermal, Use};
use surge_platform::load::Load;

use crate::view::ReasonCode;

const SECOND: Duration = Duration::from_secs(1);

fn limits() -> Limits {
    Limits {
        idle_after: Duration::from_secs(180),
        away: Allowance { workers: 4, share: 1.0 },
        in_use: None,
        battery: None,
        battery_min_percent: 50,
        schedule: Schedule::default(),
        pause_for: UseKind::ALL.into(),
        ignored_programs: BTreeSet::new(),
        excluded_programs: BTreeSet::new(),
        other_load: Some(Thresholds { stop_above: 50.0, start_below: 30.0 }),
        target_celsius: 75.0,
        blind_share: 0.5,
        gentle: true,
        leave_free: 1 << 30,
        task_memory: 1 << 30,
        use_metered: false,
    }
}

/// A machine that a gate drives through virtual time. At first all is well and nobody is here.
struct Machine {
    limits: Limits,
    conditions: Conditions,
    intent: Intent,
    memory: GateMemory,
    now: Moment,
}

impl Machine {
    fn new(limits: Limits) -> Self {
        // Far from the clock's start, so that everything may lie before it.
        let at = Instant::now() + Duration::from_secs(1_000_000);
        let local = "2026-11-25T12:00:00[Europe/Berlin]".parse().unwrap();
        Self {
            limits,
            conditions: well(at),
            intent: Intent::Run,
            memory: GateMemory::default(),
            now: Moment { at, local, idle: None, tasks: 4, may_take: 0 },
        }
    }

    fn decide(&mut self) -> Answer {
        let memory = std::mem::take(&mut self.memory);
        let (answer, memory) = decide(&self.limits, &self.conditions, self.intent, memory, &self.now);
        self.memory = memory;
        answer
    }

    fn pass(&mut self, seconds: u64) {
        self.now.at += SECOND * u32::try_from(seconds).unwrap();
        self.now.local = self.now.local.checked_add(Span::new().seconds(i64::try_from(seconds).unwrap())).unwrap();
    }

    /// Every sensor answers now.
    fn fresh(&mut self) {
        let at = self.now.at;
        let it = &mut self.conditions;
        for reading in
            [&mut it.presence.at, &mut it.power.at, &mut it.thermal.at, &mut it.load.at, &mut it.foreground.at]
        {
            *reading = at;
        }
    }

    /// Lets seconds pass, with fresh readings and a decision in each; the last answer.
    fn live(&mut self, seconds: u64) -> Answer {
        for _ in 0..seconds {
            self.pass(1);
            self.fresh();
            let _ = self.decide();
        }
        self.decide()
    }

    fn codes(&mut self) -> Vec<ReasonCode> {
        codes(&self.decide())
    }
}

fn well(at: Instant) -> Conditions {
    Conditions {
        presence: Reading::new(Presence::IdleSince(at - Duration::from_secs(100_000)), "x11", at),
        power: Reading::new(Power::Mains, "sysfs", at),
        thermal: Reading::new(Thermal { celsius: Some(50.0), critical: None, frequency: None }, "hwmon", at),
        load: Reading::new(Load { cpu_percent: 5.0, available_bytes: 8 << 30, memory_pressure: None }, "proc", at),
        foreground: Reading::new(Foreground::default(), "x11", at),
        network: Reading::new(Network::Free, "nm", at),
        disturbed: None,
    }
}

fn codes(answer: &Answer) -> Vec<ReasonCode> {
    match &answer.decision {
        Decision::Run(_) => Vec::new(),
        Decision::Hold(reasons) => reasons.iter().map(|reason| reason.code).collect(),
    }
}

fn budget(answer: &Answer) -> Budget {
    match &answer.decision {
        Decision::Run(budget) => *budget,
        Decision::Hold(reasons) => panic!("held: {reasons:?}"),
    }
}

/// Whether there is a moment in a week at which these limits let work run, when all is well.
pub(crate) fn runs_some_time(limits: &Limits, memory_bytes: u64) -> bool {
    let mut machine = Machine::new(limits.clone());
    machine.conditions.load.value = Load { cpu_percent: 0.0, available_bytes: memory_bytes, memory_pressure: None };
    machine.now.tasks = 0;
    if !limits.schedule.allows(&machine.now.local) {
        let Some(start) = limits.schedule.next_start(&machine.now.local) else { return false };
        machine.now.local = start.to_zoned(machine.now.local.time_zone().clone());
    }
    codes(&machine.decide()).is_empty()
}

#[test]
fn it_runs_when_all_is_well_and_nobody_is_here() {
    assert_eq!(budget(&Machine::new(limits()).decide()), Budget { workers: 4, share: 1.0, new_work: NewWork::Fetched });
}

#[test]
fn a_pause_comes_first_and_ends_by_itself() {
    let mut machine = Machine::new(limits());
    machine.conditions.presence.value = Presence::Active;
    machine.intent = Intent::Paused { until: Some(machine.now.unix() + 60) };
    assert_eq!(machine.codes(), [ReasonCode::Paused, ReasonCode::UserActive]);
    machine.pass(60);
    machine.fresh();
    assert_eq!(machine.codes(), [ReasonCode::UserActive]);
}

#[test]
fn finishing_starts_nothing_new_and_then_pauses() {
    let mut machine = Machine::new(limits());
    machine.intent = Intent::Finish;
    let answer = machine.decide();
    assert_eq!(budget(&answer).new_work, NewWork::None);
    assert_eq!(answer.no_new_work.unwrap().code, ReasonCode::Finishing);
    assert_eq!(Intent::Finish.after(1), Intent::Finish);
    assert_eq!(Intent::Finish.after(0), Intent::Paused { until: None });
}

#[test]
fn use_is_told_with_its_value_limit_and_end() {
    let mut machine = Machine::new(limits());
    machine.conditions.presence.value = Presence::IdleSince(machine.now.at - Duration::from_secs(30));
    let Decision::Hold(reasons) = machine.decide().decision else { panic!("must hold") };
    insta::assert_debug_snapshot!(reasons, @r#"
    [
        Reason {
            code: UserActive,
            case: None,
            measure: Some(
                Measure {
                    value: 30,
                    limit: 180,
                    unit: Seconds,
                },
            ),
            subject: None,
            said: None,
            until: Some(
                1795604550,
            ),
            setting: Some(
                "idle_after_seconds",
            ),
        },
    ]
    "#);
}

#[test]
fn presence_that_is_not_known_stale_or_from_before_a_wake_is_use() {
    let mut machine = Machine::new(limits());
    machine.conditions.presence.value = Presence::Unknown("no display".into());
    assert_eq!(machine.codes(), [ReasonCode::PresenceUnknown]);

    let mut machine = Machine::new(limits());
    machine.pass(3);
    assert_eq!(machine.codes(), []);
    machine.pass(1);
    assert_eq!(machine.codes(), [ReasonCode::SensorStale]);
    machine.live(4);
    assert_eq!(machine.codes(), [ReasonCode::SensorStale]);
    machine.live(1);
    assert_eq!(machine.codes(), []);

    let mut machine = Machine::new(limits());
    machine.conditions.disturbed = Some((Disturbance::Woke, machine.now.at));
    machine.live(179);
    assert_eq!(machine.codes(), [ReasonCode::Disturbed]);
    machine.live(1);
    assert_eq!(machine.codes(), []);
}

#[test]
fn a_headless_machine_needs_no_presence_and_still_forgets_readings_from_before_a_wake() {
    let mut machine = Machine::new(limits());
    machine.conditions.presence =
        Reading::new(Presence::Headless, "headless", machine.now.at - Duration::from_secs(9_000));
    assert_eq!(machine.codes(), []);
    machine.conditions.disturbed = Some((Disturbance::Woke, machine.now.at + SECOND));
    machine.pass(2);
    assert_eq!(machine.codes(), [ReasonCode::SensorStale]);
    machine.live(6);
    assert_eq!(machine.codes(), []);
}

#[test]
fn another_users_session_holds_whatever_the_budgets() {
    let mut machine = Machine::new(Limits { in_use: Some(Allowance { workers: 1, share: 0.2 }), ..limits() });
    machine.conditions.presence.value = Presence::OtherUser;
    assert_eq!(machine.codes(), [ReasonCode::OtherUser]);
}

#[test]
fn a_budget_for_use_and_one_for_the_battery_are_both_kept() {
    let in_use = Some(Allowance { workers: 2, share: 0.5 });
    let battery = Some(Allowance { workers: 3, share: 0.2 });
    let mut machine = Machine::new(Limits { in_use, battery, ..limits() });
    machine.conditions.presence.value = Presence::Active;
    assert_eq!(budget(&machine.decide()), Budget { workers: 2, share: 0.5, new_work: NewWork::Fetched });
    machine.conditions.power.value = Power::Battery { percent: Some(90) };
    assert_eq!(budget(&machine.decide()), Budget { workers: 2, share: 0.2, new_work: NewWork::Fetched });
}

#[test]
fn the_battery_is_spared_by_default_and_in_the_dark() {
    for power in [Power::Battery { percent: Some(100) }, Power::Battery { percent: None }, Power::Unknown] {
        let mut machine = Machine::new(limits());
        machine.conditions.power.value = power;
        assert_eq!(machine.codes(), [ReasonCode::OnBattery]);
    }
    let mut machine = Machine::new(Limits { battery: Some(Allowance { workers: 1, share: 0.2 }), ..limits() });
    for (percent, runs) in [(Some(50), true), (Some(49), false), (Some(54), false), (Some(55), true), (None, false)] {
        machine.conditions.power.value = Power::Battery { percent };
        machine.live(11);
        assert_eq!(machine.codes().is_empty(), runs, "{percent:?}");
    }
}

#[test]
fn a_laptop_in_a_bag_does_not_run() {
    let mut machine = Machine::new(Limits { battery: Some(Allowance { workers: 1, share: 0.2 }), ..limits() });
    machine.conditions.foreground.value.lid_shut = true;
    assert_eq!(machine.codes(), [], "docked, on the mains");
    machine.conditions.power.value = Power::Battery { percent: Some(90) };
    assert_eq!(machine.codes(), [ReasonCode::LidShut]);
}

#[test]
fn films_calls_and_games_are_use_and_music_behind_a_lock_is_not() {
    let cases = [
        (Use::FullScreen("game".into()), ReasonCode::FullScreen, false),
        (Use::Inhibited("mpv".into()), ReasonCode::Film, false),
        (Use::Call("zoom".into()), ReasonCode::Call, true),
        (Use::Gamepad("pad".into()), ReasonCode::Gamepad, true),
    ];
    for (sign, code, when_locked) in cases {
        let mut machine = Machine::new(limits());
        machine.conditions.foreground.value.uses.push(sign);
        assert_eq!(machine.codes(), [code]);
        let mut machine = Machine { memory: GateMemory::default(), ..machine };
        machine.conditions.foreground.value.locked = true;
        assert_eq!(!machine.codes().is_empty(), when_locked, "{code:?}");
    }
}

#[test]
fn a_film_that_ends_is_waited_for_and_an_ignored_program_is_none() {
    let mut machine = Machine::new(Limits { ignored_programs: ["radio".into()].into(), ..limits() });
    machine.conditions.foreground.value.uses.push(Use::Inhibited("radio".into()));
    assert_eq!(machine.codes(), []);
    machine.conditions.foreground.value.uses.push(Use::Inhibited("mpv".into()));
    let Decision::Hold(reasons) = machine.decide().decision else { panic!("must hold") };
    assert_eq!(reasons[0].subject.as_deref(), Some("mpv"));
    machine.conditions.foreground.value.uses.clear();
    machine.live(29);
    assert_eq!(machine.codes(), [ReasonCode::Film]);
    machine.live(1);
    assert_eq!(machine.codes(), []);
}

#[test]
fn a_busy_moment_is_none_and_a_busy_machine_is_left_alone_until_it_is_calm() {
    let mut machine = Machine::new(limits());
    machine.conditions.load.value.cpu_percent = 80.0;
    assert_eq!(codes(&machine.live(9)), []);
    machine.conditions.load.value.cpu_percent = 10.0;
    machine.live(1);
    machine.conditions.load.value.cpu_percent = 51.0;
    assert_eq!(codes(&machine.live(11)), [ReasonCode::OtherLoad]);
    machine.conditions.load.value.cpu_percent = 40.0;
    assert_eq!(codes(&machine.live(600)), [ReasonCode::OtherLoad], "between the thresholds nothing changes");
    machine.conditions.load.value.cpu_percent = 29.0;
    assert_eq!(codes(&machine.live(59)), [ReasonCode::OtherLoad]);
    assert_eq!(codes(&machine.live(1)), []);
    machine.conditions.load.value.cpu_percent = f32::NAN;
    assert_eq!(codes(&machine.live(11)), [ReasonCode::OtherLoad], "what is no number is busy");
}

#[test]
fn heat_stops_it_until_it_was_cool_for_a_minute() {
    let mut machine = Machine::new(limits());
    for (celsius, seconds, held) in
        [(84.0, 5, false), (85.0, 1, true), (68.0, 300, true), (66.0, 59, true), (66.0, 1, false)]
    {
        machine.conditions.thermal.value.celsius = Some(celsius);
        assert_eq!(codes(&machine.live(seconds)) == [ReasonCode::Hot], held, "{celsius}");
    }
    machine.conditions.thermal.value = Thermal { celsius: Some(81.0), critical: Some(88.0), frequency: None };
    assert_eq!(machine.codes(), [ReasonCode::Hot], "the hardware's own limit is near");
}

#[test]
fn a_sensor_that_goes_while_it_is_hot_does_not_make_it_cool() {
    let mut machine = Machine::new(limits());
    machine.conditions.thermal.value.celsius = Some(90.0);
    machine.live(1);
    machine.conditions.thermal.value.celsius = None;
    assert_eq!(codes(&machine.live(299)), [ReasonCode::Hot]);
    assert_eq!(codes(&machine.live(70)), []);
}

#[test]
fn little_memory_takes_task_after_task_also_while_held() {
    let mut machine = Machine::new(limits());
    machine.conditions.presence.value = Presence::Active;
    machine.conditions.load.value.available_bytes = 1 << 29;
    assert_eq!(machine.decide().room, 3);
    machine.now.tasks = 3;
    assert_eq!(machine.live(4).room, 3, "the first one's memory needs time to come back");
    assert_eq!(machine.live(1).room, 2);
    machine.now.tasks = 2;
    machine.conditions.load.value.available_bytes = 3 << 29;
    assert_eq!(machine.live(600).room, 2, "enough for what is there");
    machine.conditions.load.value.available_bytes = 8 << 30;
    assert_eq!(machine.live(61).room, 3);
    assert_eq!(machine.live(60).room, 4);
}

/// Four tasks of 1 GiB each, little of it taken yet, where 1.2 GiB are free.
#[test]
fn what_tasks_that_have_begun_may_still_take_is_taken() {
    let mut machine = Machine::new(Limits { leave_free: 0, ..limits() });
    machine.conditions.load.value.available_bytes = (12 << 30) / 10;
    machine.now.tasks = 0;
    assert_eq!(machine.decide().room, 1);
    for (tasks, may_take) in [(1, 1 << 30), (1, 900 << 20), (2, 2 << 30), (4, 4 << 30)] {
        (machine.now.tasks, machine.now.may_take) = (tasks, may_take);
        assert_eq!(machine.live(100).room, tasks, "none goes, and no other begins");
    }
    // They have taken what they need, and there is as much again.
    (machine.now.tasks, machine.now.may_take) = (1, 0);
    assert_eq!(machine.decide().room, 2);
}

/// While somebody is here, readings come every ten seconds.
#[test]
fn one_reading_lets_one_task_go_however_long_it_is_the_newest() {
    let mut machine = Machine::new(limits());
    machine.conditions.load.value.available_bytes = 1 << 29;
    let mut rooms = Vec::new();
    for second in 0..31 {
        if second % 10 == 0 {
            machine.fresh();
        }
        rooms.push(machine.decide().room);
        machine.pass(1);
    }
    let at = |second: usize| rooms[second];
    assert_eq!([at(0), at(9), at(10), at(19), at(20), at(29), at(30)], [3, 3, 2, 2, 1, 1, 0]);
}

#[test]
fn without_room_for_one_task_it_holds() {
    let mut machine = Machine::new(limits());
    machine.now.tasks = 0;
    machine.conditions.load.value.available_bytes = 1 << 20;
    assert_eq!(machine.codes(), [ReasonCode::MemoryLow]);
}

#[test]
fn a_metered_network_stops_fetching_and_nothing_else() {
    let mut machine = Machine::new(limits());
    machine.conditions.network.value = Network::Metered;
    let answer = machine.decide();
    assert_eq!(
        (budget(&answer).new_work, answer.no_new_work.unwrap().code),
        (NewWork::Here, ReasonCode::MeteredNetwork)
    );
    machine.limits.use_metered = true;
    assert_eq!(budget(&machine.live(11)).new_work, NewWork::Fetched);
}

#[test]
fn the_schedule_says_when_it_begins() {
    let mut machine =
        Machine::new(Limits { schedule: Schedule::new(vec!["daily 22:00-07:00".parse().unwrap()]), ..limits() });
    let Decision::Hold(reasons) = machine.decide().decision else { panic!("must hold") };
    assert_eq!(
        (reasons[0].code, reasons[0].until),
        (ReasonCode::OutsideSchedule, Some(machine.now.unix() + 10 * 3600))
    );
    assert_eq!(reasons[0].subject.as_deref(), Some("daily 22:00-07:00"));
    machine.live(1);
    machine.pass(10 * 3600);
    machine.fresh();
    assert_eq!(machine.codes(), []);
}

/// What may happen to a machine from one second to the next.
#[derive(Debug, Clone)]
enum Event {
    Presence(Presence),
    IdleFor(u64),
    Power(Power),
    Celsius(Option<f32>),
    Load(f32),
    Memory(u64),
    Uses(Vec<Use>),
    Excluded(bool),
    Locked(bool),
    Lid(bool),
    Network(Network),
    Intent(bool),
    Woke,
    /// The sensors answer no more, or again.
    Sensors(bool),
}

fn event() -> impl Strategy<Value = Event> {
    let sign = prop_oneof![
        Just(Use::FullScreen("game".into())),
        Just(Use::Inhibited("radio".into())),
        Just(Use::Call("zoom".into())),
        Just(Use::Gamepad(String::new())),
    ];
    prop_oneof![
        prop_oneof![
            Just(Presence::Active),
            Just(Presence::Headless),
            Just(Presence::OtherUser),
            Just(Presence::Unknown("why".into()))
        ]
        .prop_map(Event::Presence),
        (0u64..1_000).prop_map(Event::IdleFor),
        prop_oneof![
            Just(Power::Mains),
            Just(Power::Unknown),
            prop::option::of(0u8..=100).prop_map(|percent| Power::Battery { percent })
        ]
        .prop_map(Event::Power),
        prop::option::of(20f32..110.0).prop_map(Event::Celsius),
        (0f32..100.0).prop_map(Event::Load),
        (0u64..6_000).prop_map(|mib| Event::Memory(mib << 20)),
        prop::collection::vec(sign, 0..2).prop_map(Event::Uses),
        any::<bool>().prop_map(Event::Excluded),
        any::<bool>().prop_map(Event::Locked),
        any::<bool>().prop_map(Event::Lid),
        prop_oneof![Just(Network::Free), Just(Network::Metered), Just(Network::Unknown)].prop_map(Event::Network),
        any::<bool>().prop_map(Event::Intent),
        Just(Event::Woke),
        any::<bool>().prop_map(Event::Sensors),
    ]
}

fn some_limits() -> impl Strategy<Value = Limits> {
    let allowance = |none| {
        let some = (1u32..8, 0.05f32..1.0).prop_map(|(workers, share)| Some(Allowance { workers, share }));
        if none { prop_oneof![Just(None), some].boxed() } else { some.boxed() }
    };
    (1u64..600, allowance(false), allowance(true), allowance(true), 0u8..=95, any::<bool>(), any::<bool>()).prop_map(
        |(idle, away, in_use, battery, percent, nights, ignores)| Limits {
            idle_after: Duration::from_secs(idle),
            away: away.unwrap(),
            in_use,
            battery,
            battery_min_percent: percent,
            schedule: Schedule::new(if nights { vec!["daily 11:59-12:03".parse().unwrap()] } else { Vec::new() }),
            ignored_programs: if ignores { ["radio".into()].into() } else { BTreeSet::new() },
            excluded_programs: ["blender".into()].into(),
            ..limits()
        },
    )
}

impl Machine {
    fn happen(&mut self, event: Event) -> Option<bool> {
        let (at, it) = (self.now.at, &mut self.conditions);
        match event {
            Event::Presence(presence) => it.presence.value = presence,
            Event::IdleFor(seconds) => it.presence.value = Presence::IdleSince(at - Duration::from_secs(seconds)),
            Event::Power(power) => it.power.value = power,
            Event::Celsius(celsius) => it.thermal.value.celsius = celsius,
            Event::Load(percent) => it.load.value.cpu_percent = percent,
            Event::Memory(bytes) => it.load.value.available_bytes = bytes,
            Event::Uses(uses) => it.foreground.value.uses = uses,
            Event::Excluded(runs) => {
                it.foreground.value.excluded = if runs { ["blender".into()].into() } else { BTreeSet::new() };
            }
            Event::Locked(locked) => it.foreground.value.locked = locked,
            Event::Lid(shut) => it.foreground.value.lid_shut = shut,
            Event::Network(network) => it.network.value = network,
            Event::Intent(paused) => self.intent = if paused { Intent::Paused { until: None } } else { Intent::Run },
            Event::Woke => it.disturbed = Some((Disturbance::Woke, at)),
            Event::Sensors(answer) => return Some(answer),
        }
        None
    }

    /// Whether a rule says no at this very moment, by a second reading of the design that shares no code with the rules.
    fn says_no(&self, code: ReasonCode) -> bool {
        let (limits, it, at) = (&self.limits, &self.conditions, self.now.at);
        let old = |then: Instant, most: u64| at - then > Duration::from_secs(most);
        let before_wake = |then: Instant| it.disturbed.is_some_and(|(_, woke)| then < woke);
        let presence = &it.presence;
        let headless = presence.value == Presence::Headless;
        let idle = match presence.value {
            Presence::IdleSince(since) => at - since >= limits.idle_after,
            _ => false,
        };
        let stale_presence = idle && old(presence.at, 3);
        let told = !headless && limits.in_use.is_none();
        let battery = it.power.value != Power::Mains;
        let sign = |wanted: fn(&Use) -> Option<&str>| {
            it.foreground.value.uses.iter().filter_map(wanted).any(|program| !limits.ignored_programs.contains(program))
        };
        let unlocked = !it.foreground.value.locked;
        match code {
            ReasonCode::Paused => matches!(self.intent, Intent::Paused { .. }),
            ReasonCode::OutsideSchedule => !limits.schedule.allows(&self.now.local),
            ReasonCode::OtherUser => presence.value == Presence::OtherUser,
            ReasonCode::PresenceUnknown => limits.in_use.is_none() && matches!(presence.value, Presence::Unknown(_)),
            ReasonCode::UserActive => {
                told && match presence.value {
                    Presence::Active => true,
                    Presence::IdleSince(since) => at - since < limits.idle_after,
                    _ => false,
                }
            }
            ReasonCode::Disturbed => {
                told && idle && it.disturbed.is_some_and(|(_, woke)| at - woke < limits.idle_after)
            }
            ReasonCode::SensorStale => {
                (stale_presence && limits.in_use.is_none())
                    || [(it.power.at, 120), (it.thermal.at, 15), (it.load.at, 15), (it.foreground.at, 30)]
                        .into_iter()
                        .any(|(then, most)| old(then, most) || before_wake(then))
            }
            ReasonCode::FullScreen => unlocked && sign(|it| if let Use::FullScreen(of) = it { Some(of) } else { None }),
            ReasonCode::Film => unlocked && sign(|it| if let Use::Inhibited(of) = it { Some(of) } else { None }),
            ReasonCode::Call => sign(|it| if let Use::Call(of) = it { Some(of) } else { None }),
            ReasonCode::Gamepad => sign(|it| if let Use::Gamepad(of) = it { Some(of) } else { None }),
            ReasonCode::ExcludedProgram => it.foreground.value.excluded.contains("blender"),
            ReasonCode::OnBattery => {
                battery
                    && limits.battery.is_none_or(|_| match it.power.value {
                        Power::Battery { percent: Some(percent) } => percent < limits.battery_min_percent,
                        _ => true,
                    })
            }
            ReasonCode::LidShut => battery && it.foreground.value.lid_shut,
            ReasonCode::Hot => it.thermal.value.celsius.is_some_and(|celsius| celsius >= 85.0),
            _ => false,
        }
    }
}

/// Rules that say no the moment their condition is there; for how long after it each may still hold, in seconds.
/// `OnBattery` has a charge to reach, `Hot` a temperature, so that they may hold longer.
const AT_ONCE: [(ReasonCode, Option<u64>); 15] = [
    (ReasonCode::Paused, Some(0)),
    (ReasonCode::OutsideSchedule, Some(0)),
    (ReasonCode::OtherUser, Some(0)),
    (ReasonCode::PresenceUnknown, Some(0)),
    (ReasonCode::UserActive, Some(0)),
    (ReasonCode::Disturbed, Some(0)),
    (ReasonCode::SensorStale, Some(5)),
    (ReasonCode::FullScreen, Some(30)),
    (ReasonCode::Film, Some(30)),
    (ReasonCode::Call, Some(30)),
    (ReasonCode::Gamepad, Some(30)),
    (ReasonCode::ExcludedProgram, Some(10)),
    (ReasonCode::LidShut, Some(10)),
    (ReasonCode::OnBattery, None),
    (ReasonCode::Hot, None),
];

/// After a no, each of these says no for at least so long: what keeps it from flapping.
const SETTLES: [(ReasonCode, u64); 8] = [
    (ReasonCode::FullScreen, 30),
    (ReasonCode::Film, 30),
    (ReasonCode::Call, 30),
    (ReasonCode::Gamepad, 30),
    (ReasonCode::ExcludedProgram, 10),
    (ReasonCode::LidShut, 10),
    (ReasonCode::OnBattery, 10),
    (ReasonCode::Hot, 60),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_rule_is_ever_overruled_every_reason_is_true_and_nothing_flaps(
        limits in some_limits(),
        story in prop::collection::vec((0u64..40, event()), 1..40),
    ) {
        let mut machine = Machine::new(limits);
        let mut answers = true;
        let mut last_no = std::collections::BTreeMap::new();
        let (mut second, mut busy_since, mut last_busy) = (0u64, None, None);
        for (wait, event) in story {
            if let Some(answer) = machine.happen(event) { answers = answer; }
            for _ in 0..=wait {
                machine.pass(1);
                second += 1;
                if answers { machine.fresh(); }
                let answer = machine.decide();
                let held = codes(&answer);
                if let Decision::Hold(reasons) = &answer.decision {
                    prop_assert!(!reasons.is_empty());
                    let words = Words::english();
                    for reason in reasons {
                        // The words that fit say the case and the values: no reason falls back to another's.
                        let detail = words.detail(reason);
                        let filled = !detail.contains('{') && detail != words.say("detail.unknown");
                        prop_assert!(filled, "{}", detail);
                    }
                }
                // A svelte list is keyed by the code, and a reason twice is a reason too many.
                let once: BTreeSet<_> = held.iter().map(|code| format!("{code:?}")).collect();
                prop_assert_eq!(once.len(), held.len());
                for (code, lasts) in AT_ONCE {
                    let no = machine.says_no(code);
                    if no {
                        prop_assert!(held.contains(&code), "{:?} is overruled: {:?}", code, held);
                        last_no.insert(format!("{code:?}"), second);
                    } else if held.contains(&code) {
                        let ago = last_no.get(&format!("{code:?}")).map(|at| second - at);
                        let Some(ago) = ago else { return Err(TestCaseError::fail(format!("{code:?} was never so"))) };
                        prop_assert!(lasts.is_none_or(|lasts| ago < lasts), "{:?} ended {} s ago", code, ago);
                    }
                }
                for (code, settles) in SETTLES {
                    let ago = last_no.get(&format!("{code:?}")).map(|at| second - at);
                    if ago.is_some_and(|ago| ago < settles) {
                        prop_assert!(held.contains(&code), "{:?} starts after {:?} s", code, ago);
                    }
                }
                // The load's two thresholds and two delays.
                let percent = machine.conditions.load.value.cpu_percent;
                let was_held = last_busy.is_some();
                if percent > if was_held { 30.0 } else { 50.0 } {
                    busy_since.get_or_insert(second);
                    if was_held { last_busy = Some(second); }
                    if second - busy_since.unwrap() >= 10 { last_busy = Some(second); }
                } else {
                    busy_since = None;
                    if last_busy.is_some_and(|at| second - at >= 60) { last_busy = None; }
                }
                prop_assert_eq!(held.contains(&ReasonCode::OtherLoad), last_busy.is_some());
                if let Decision::Run(budget) = &answer.decision {
                    prop_assert!(budget.workers >= 1 && budget.workers <= answer.room);
                    let most = [Some(machine.limits.away), machine.limits.in_use].into_iter().flatten();
                    prop_assert!(most.into_iter().any(|it| budget.share <= it.share && budget.workers <= it.workers));
                }
                // The order of the reasons is the order of the rules: the first is the one that decides.
                if let Some(first) = held.first() {
                    let decisive = AT_ONCE.iter().map(|(code, _)| *code).filter(|code| *code != ReasonCode::Disturbed);
                    let decisive = decisive.into_iter().find(|code| machine.says_no(*code) && matches!(code, ReasonCode::Paused | ReasonCode::OutsideSchedule));
                    prop_assert!(decisive.is_none_or(|code| code == *first), "{:?} hides {:?}", first, decisive);
                }
            }
        }
    }
}

#[test]
fn sleep_is_put_off_only_for_work_that_runs_on_the_mains() {
    let mut machine = Machine::new(limits());
    let answer = machine.decide();
    let run = &answer.decision;
    assert!(feeds_work(&machine.conditions, run, 1));
    assert!(!feeds_work(&machine.conditions, run, 0), "nothing runs that sleep would stop");
    assert!(!feeds_work(&machine.conditions, &Decision::Hold(Vec::new()), 1), "held work can wait");
    for power in [Power::Unknown, Power::Battery { percent: Some(100) }] {
        machine.conditions.power.value = power;
        assert!(!feeds_work(&machine.conditions, run, 1), "{power:?}");
    }
}
