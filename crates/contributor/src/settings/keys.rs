//! The table of all settings: name, comment, value, and when a change counts.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Settings;
use super::field::{Field, File, Number, OneOf, Set, Week};

/// One setting.
pub(super) struct Key {
    pub(super) name: &'static str,
    /// What it means, for the file and for `surge limits`.
    pub(super) about: &'static str,
    /// Whether a change counts without a restart.
    pub(super) live: bool,
    field: fn(&mut Settings) -> Box<dyn Field + '_>,
}

impl Key {
    pub(super) fn field<'a>(&self, settings: &'a mut Settings) -> Box<dyn Field + 'a> {
        (self.field)(settings)
    }

    /// The value as it stands in the file.
    pub(super) fn toml(&self, settings: &Settings) -> String {
        self.field(&mut settings.clone()).toml()
    }
}

pub(super) fn key(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

const fn live(name: &'static str, about: &'static str, field: fn(&mut Settings) -> Box<dyn Field + '_>) -> Key {
    Key { name, about, live: true, field }
}

const fn fixed(name: &'static str, about: &'static str, field: fn(&mut Settings) -> Box<dyn Field + '_>) -> Key {
    Key { name, about, live: false, field }
}

fn number<'a, T: TryFrom<u64> + Copy + Into<u64>>(slot: &'a mut T, least: u64, most: u64) -> Box<dyn Field + 'a> {
    Box::new(Number { slot, least, most, zero: false })
}

fn number_or_0<'a, T: TryFrom<u64> + Copy + Into<u64>>(slot: &'a mut T, least: u64, most: u64) -> Box<dyn Field + 'a> {
    Box::new(Number { slot, least, most, zero: true })
}

/// In the order of the file.
pub(super) const KEYS: &[Key] = &[
    live(
        "presence",
        "\"auto\" asks the session whether somebody is here; \"sessions\" hears all sessions, for the system service; \"headless\" says that nobody sits here.",
        |it| Box::new(OneOf(&mut it.presence)),
    ),
    live("greeter_idle", "With \"sessions\": whether this computer counts as idle while nobody is logged in.", |it| {
        Box::new(&mut it.greeter_idle)
    }),
    live("idle_after_seconds", "Seconds without input after which this computer counts as idle.", |it| {
        number(&mut it.idle_after_seconds, 1, 86_400)
    }),
    live("workers", "Tasks that may run at once while nobody is here; 0 means half of the cores.", |it| {
        number(&mut it.workers, 0, 1024)
    }),
    live("cpu_percent", "Share of one core that each of them may use, percent.", |it| {
        number(&mut it.cpu_percent, 1, 100)
    }),
    live("in_use_workers", "Tasks that may run at once while somebody uses this computer.", |it| {
        number(&mut it.in_use_workers, 1, 1024)
    }),
    live("in_use_cpu_percent", "Share of one core for each of them; 0 means that nothing runs then.", |it| {
        number(&mut it.in_use_cpu_percent, 0, 100)
    }),
    live("battery_workers", "Tasks that may run at once on the battery.", |it| {
        number(&mut it.battery_workers, 1, 1024)
    }),
    live("battery_cpu_percent", "Share of one core for each of them; 0 means that nothing runs then.", |it| {
        number(&mut it.battery_cpu_percent, 0, 100)
    }),
    live("battery_min_percent", "Charge of the battery below which nothing runs on it.", |it| {
        number(&mut it.battery_min_percent, 0, 95)
    }),
    live(
        "schedule",
        "When work may run, local time: [\"mon-fri 22:00-07:00\", \"sat,sun 00:00-24:00\"]. [] is always.",
        |it| Box::new(Week(&mut it.schedule)),
    ),
    live(
        "pause_for",
        "Use without input for which it pauses: \"full-screen\", \"film\", \"call\", \"gamepad\".",
        |it| Box::new(Set(&mut it.pause_for)),
    ),
    live("ignored_programs", "Programs whose films, calls and full screens do not count: [\"radio\"].", |it| {
        Box::new(Set(&mut it.ignored_programs))
    }),
    live("excluded_programs", "Nothing runs while one of these programs does: [\"blender\"].", |it| {
        Box::new(Set(&mut it.excluded_programs))
    }),
    live("other_load_percent", "Nothing runs while other programs use more of the processor; 100 is never.", |it| {
        number(&mut it.other_load_percent, 5, 100)
    }),
    live("other_load_resume_percent", "And starts again when they use less than this for a minute.", |it| {
        number(&mut it.other_load_resume_percent, 2, 99)
    }),
    live("target_celsius", "Temperature of the processor to keep; 0 is 75 °C for laptops, 80 °C for others.", |it| {
        number_or_0(&mut it.target_celsius, 50, 95)
    }),
    live(
        "no_sensor_cpu_percent",
        "Share of one core for each task where no sensor tells the temperature, percent.",
        |it| number(&mut it.no_sensor_cpu_percent, 1, 100),
    ),
    live("gentle", "Raises the load slowly, for quiet fans: 10 points in 10 s. false is at once.", |it| {
        Box::new(&mut it.gentle)
    }),
    fixed("memory_mib", "Memory that one task may ask for, MiB.", |it| number(&mut it.memory_mib, 16, 4096)),
    live("leave_free_mib", "Memory to leave to other programs, MiB; 0 is a tenth of it.", |it| {
        number_or_0(&mut it.leave_free_mib, 64, 1 << 20)
    }),
    live("use_metered_network", "Fetches new tasks over a metered network too.", |it| {
        Box::new(&mut it.use_metered_network)
    }),
    live(
        "keep_awake_on_ac",
        "Keeps this computer from falling asleep by itself while a task runs on the mains; never on the battery.",
        |it| Box::new(&mut it.keep_awake_on_ac),
    ),
    fixed(
        "sandbox",
        "\"full\" runs nothing where the kernel has no landlock; \"seccomp-only\" does with the filter over system calls.",
        |it| Box::new(OneOf(&mut it.sandbox)),
    ),
    fixed(
        "extra_ca",
        "File (PEM) of certificate authorities to trust besides the system's, as where a proxy looks into TLS. \"\" is none.",
        |it| Box::new(File(&mut it.extra_ca)),
    ),
    fixed("share_machine", "Lets a second engine run on this machine (for test beds).", |it| {
        Box::new(&mut it.share_machine)
    }),
];

/// A setting as programs and people see it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Shown {
    pub value: serde_json::Value,
    pub default: serde_json::Value,
    pub about: &'static str,
    /// Whether a change counts without a restart of the engine.
    pub live: bool,
    /// The value as it stands in the file.
    #[serde(skip)]
    pub toml: String,
}

/// All settings by their keys, in the order of the file.
#[must_use]
pub fn shown(settings: &Settings) -> Vec<(&'static str, Shown)> {
    let default = Settings::default();
    let one = |key: &'static Key| {
        let toml = key.toml(settings);
        let shown =
            Shown { value: json(&toml), default: json(&key.toml(&default)), about: key.about, live: key.live, toml };
        (key.name, shown)
    };
    KEYS.iter().map(one).collect()
}

fn json(toml: &str) -> serde_json::Value {
    let table: BTreeMap<String, serde_json::Value> =
        toml::from_str(&format!("value = {toml}")).expect("a field writes TOML, as the tests read it");
    table.into_values().next().unwrap_or_default()
}

/// The keys whose changed values wait for a restart.
pub(super) fn waiting(running: &Settings, wanted: &Settings) -> Vec<&'static str> {
    let differs = |key: &&Key| !key.live && key.toml(running) != key.toml(wanted);
    KEYS.iter().filter(differs).map(|key| key.name).collect()
}
