//! Linux: `/sys/class/power_supply`, where chargers, batteries of the machine and batteries of mice are all entries.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::conditions::Power;
use crate::kernel;

pub(super) const SOURCE: &str = "sysfs";

const SUPPLIES: &str = "/sys/class/power_supply";
const CHASSIS: &str = "/sys/class/dmi/id/chassis_type";
/// SMBIOS 3.7, table 17: portable, laptop, notebook, hand held, sub notebook, tablet, convertible, detachable.
const PORTABLE: &[u32] = &[8, 9, 10, 11, 14, 30, 31, 32];

pub(super) fn read() -> Power {
    let supplies = match fs::read_dir(SUPPLIES) {
        Ok(entries) => entries.flatten().filter_map(|entry| Supply::read(&entry.path())).collect(),
        // A kernel without the class has no battery's driver.
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        Err(_) => return Power::Unknown,
    };
    judge(&supplies, portable())
}

/// A machine that is carried has a battery, whether a driver tells of it or not.
fn portable() -> bool {
    kernel::number(Path::new(CHASSIS)).is_some_and(|kind| PORTABLE.contains(&kind))
}

/// An entry that feeds the machine. Batteries of what is attached to it are not among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Supply {
    /// A charger. `None`: it does not tell whether it is plugged in.
    Charger {
        online: Option<bool>,
    },
    Battery(Battery),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Battery {
    flow: Flow,
    percent: Option<u8>,
    /// What is in it and what would be in it if it were full, in a unit of its own.
    charge: Option<(u64, u64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    /// `measured`: current is known to leave it.
    Out {
        measured: bool,
    },
    In,
    /// Full, or kept from charging further.
    Rest,
    Unknown,
}

impl Supply {
    fn read(folder: &Path) -> Option<Self> {
        let text = |name: &str| kernel::text(&folder.join(name));
        if text("scope").is_some_and(|scope| scope == "Device") {
            return None;
        }
        match text("type")?.as_str() {
            // An entry stays where the battery itself was taken out.
            "Battery" | "UPS" if text("present").is_some_and(|present| present == "0") => None,
            "Battery" | "UPS" => Some(Self::Battery(Battery::read(folder))),
            kind if kind == "Mains" || kind == "Wireless" || kind == "BrickID" || kind.starts_with("USB") => {
                // 2 is a charger whose voltage can be set.
                let online = kernel::number::<u8>(&folder.join("online")).map(|online| online > 0);
                Some(Self::Charger { online })
            }
            _ => None,
        }
    }
}

impl Battery {
    fn read(folder: &Path) -> Self {
        let number = |name: &str| kernel::number::<i64>(&folder.join(name));
        let flow = match kernel::text(&folder.join("status")).as_deref() {
            Some("Charging") => Flow::In,
            Some("Full" | "Not charging") => Flow::Rest,
            // Drivers do not agree on the sign.
            Some("Discharging") => Flow::Out {
                measured: number("power_now").or_else(|| number("current_now")).is_some_and(|flow| flow != 0),
            },
            _ => Flow::Unknown,
        };
        let pair = |now: &str, full: &str| {
            let (now, full) = (u64::try_from(number(now)?).ok()?, u64::try_from(number(full)?).ok()?);
            (full > 0).then_some((now.min(full), full))
        };
        Self {
            flow,
            percent: number("capacity").and_then(percent),
            charge: pair("energy_now", "energy_full").or_else(|| pair("charge_now", "charge_full")),
        }
    }
}

/// Worn batteries tell of a little more than 100.
fn percent(value: i64) -> Option<u8> {
    (0..=120).contains(&value).then(|| u8::try_from(value.min(100)).unwrap_or(100))
}

fn judge(supplies: &[Supply], portable: bool) -> Power {
    let batteries: Vec<Battery> = supplies
        .iter()
        .filter_map(|supply| match supply {
            Supply::Battery(battery) => Some(*battery),
            Supply::Charger { .. } => None,
        })
        .collect();
    let online = supplies.contains(&Supply::Charger { online: Some(true) });
    let offline = supplies.iter().any(|supply| matches!(supply, Supply::Charger { online } if *online != Some(true)));
    let flows = |wanted: fn(Flow) -> bool| batteries.iter().any(|battery| wanted(battery.flow));

    if batteries.is_empty() {
        // Ports that could charge something are offline on a desktop; that says nothing.
        return if online || !portable { Power::Mains } else { Power::Unknown };
    }
    let on_battery = Power::Battery { percent: charge(&batteries) };
    if online {
        // A charger that does not keep up. Without a measured current it is a battery's idle talk.
        return if flows(|flow| flow == Flow::Out { measured: true }) { on_battery } else { Power::Mains };
    }
    if flows(|flow| matches!(flow, Flow::Out { .. })) {
        return on_battery;
    }
    if flows(|flow| flow == Flow::In) {
        return Power::Mains;
    }
    // All full, and no charger that says otherwise.
    if !offline && batteries.iter().all(|battery| battery.flow == Flow::Rest) { Power::Mains } else { on_battery }
}

/// Percent of all batteries together, by what each can hold where all tell in numbers.
fn charge(batteries: &[Battery]) -> Option<u8> {
    let charges: Option<Vec<_>> = batteries.iter().map(|battery| battery.charge).collect();
    if let Some(charges) = charges.filter(|_| batteries.len() > 1) {
        let (now, full) = charges.iter().fold((0, 0), |(now, full), one| (now + one.0, full + one.1));
        return u8::try_from(now * 100 / full).ok();
    }
    let percents: Vec<u32> = batteries.iter().filter_map(|battery| battery.percent.map(u32::from)).collect();
    let count = u32::try_from(percents.len()).ok().filter(|count| *count > 0)?;
    u8::try_from(percents.iter().sum::<u32>() / count).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLUGGED: Supply = Supply::Charger { online: Some(true) };
    const UNPLUGGED: Supply = Supply::Charger { online: Some(false) };

    fn battery(flow: Flow) -> Supply {
        Supply::Battery(Battery { flow, percent: Some(50), charge: None })
    }

    #[test]
    fn a_charger_counts_only_while_it_keeps_up() {
        let on_battery = Power::Battery { percent: Some(50) };
        let out = |measured| battery(Flow::Out { measured });
        assert_eq!(judge(&[PLUGGED, battery(Flow::In)], true), Power::Mains);
        assert_eq!(judge(&[PLUGGED, out(false)], true), Power::Mains);
        assert_eq!(judge(&[PLUGGED, out(true)], true), on_battery);
        assert_eq!(judge(&[UNPLUGGED, PLUGGED, battery(Flow::Rest)], true), Power::Mains, "one of two sockets");
        assert_eq!(judge(&[UNPLUGGED, out(false)], true), on_battery);
    }

    #[test]
    fn what_does_not_tell_counts_as_a_battery() {
        let on_battery = Power::Battery { percent: Some(50) };
        assert_eq!(judge(&[UNPLUGGED, battery(Flow::Unknown)], true), on_battery);
        assert_eq!(judge(&[battery(Flow::Unknown)], false), on_battery);
        assert_eq!(judge(&[UNPLUGGED, battery(Flow::Rest)], true), on_battery);
        assert_eq!(judge(&[Supply::Charger { online: None }, battery(Flow::Rest)], true), on_battery);
        assert_eq!(judge(&[battery(Flow::Rest)], true), Power::Mains, "full, and there is no entry for a charger");
    }

    #[test]
    fn without_a_battery_the_case_decides() {
        for supplies in [&[][..], &[UNPLUGGED]] {
            assert_eq!(judge(supplies, false), Power::Mains);
            assert_eq!(judge(supplies, true), Power::Unknown);
        }
        assert_eq!(judge(&[PLUGGED], true), Power::Mains, "its battery was taken out");
    }

    #[test]
    fn batteries_are_added_up_by_what_they_hold() {
        let one = |percent, charge| Battery { flow: Flow::Rest, percent, charge };
        assert_eq!(charge(&[one(Some(100), Some((10, 10))), one(Some(0), Some((0, 90)))]), Some(10));
        assert_eq!(charge(&[one(Some(100), Some((10, 10))), one(Some(50), None)]), Some(75));
        assert_eq!(charge(&[one(None, None)]), None);
        assert_eq!([percent(-1), percent(0), percent(103), percent(4_000)], [None, Some(0), Some(100), None]);
    }
}
