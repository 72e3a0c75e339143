//! Linux: the processor's chips in `/sys/class/hwmon`, its zones in `/sys/class/thermal`, and cpufreq.
//!
//! Files are kept open: reading one again is one system call. sysinfo is not used here: it takes every chip's word,
//! the ACPI zone's and the disk's too.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::Sample;
use crate::kernel;

pub(super) const SOURCE: &str = "sysfs";

const CHIPS: &str = "/sys/class/hwmon";
const ZONES: &str = "/sys/class/thermal";
const POLICIES: &str = "/sys/devices/system/cpu/cpufreq";

/// Drivers of processors' own sensors. `acpitz` often is a constant, the disk's and the radio's are not ours.
const DRIVERS: &[&str] = &["coretemp", "k10temp", "k8temp", "zenpower", "via_cputemp", "x86_pkg_temp", "tcpu", "b0d4"];
/// Beginnings of the names that boards with a device tree give: `cpu-thermal`, `soc_thermal`, `bigcore0-thermal`.
const BOARDS: &[&str] = &["cpu", "soc", "bigcore", "littlecore"];

/// Groups of cores whose frequency is read; a machine with one for each of its many cores is told by the first few.
const MOST_POLICIES: usize = 8;
/// After this many readings the chips are looked for again: drivers come and go, and their numbers change.
const LOOK_AGAIN: u32 = 60;

#[derive(Debug)]
pub(super) struct Sensors {
    sensors: Vec<Sensor>,
    policies: Vec<Policy>,
    read: u32,
}

#[derive(Debug)]
struct Sensor {
    name: String,
    file: File,
    critical: Option<f32>,
}

/// Cores that change their frequency together.
#[derive(Debug)]
struct Policy {
    current: File,
    highest: f32,
}

impl Sensors {
    pub(super) fn find() -> Self {
        let mut sensors: Vec<Sensor> =
            kernel::numbered(Path::new(CHIPS), "hwmon").iter().flat_map(|chip| of_chip(chip)).collect();
        sensors.extend(kernel::numbered(Path::new(ZONES), "thermal_zone").iter().filter_map(|zone| of_zone(zone)));
        let policies = kernel::numbered(Path::new(POLICIES), "policy");
        let policies = policies.iter().filter_map(|folder| Policy::open(folder)).take(MOST_POLICIES).collect();
        tracing::debug!(sensors = ?sensors.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), "processor sensors");
        Self { sensors, policies, read: 0 }
    }

    /// Calls `take` with what each sensor says that can be read now.
    pub(super) fn samples(&mut self, take: &mut dyn FnMut(Sample<'_>)) {
        self.read += 1;
        if self.read > LOOK_AGAIN {
            *self = Self::find();
        }
        let mut gone = false;
        for sensor in &self.sensors {
            match number(&sensor.file) {
                Some(millidegrees) => {
                    take(Sample { name: &sensor.name, celsius: millidegrees / 1000.0, critical: sensor.critical })
                }
                None => gone = true,
            }
        }
        if gone {
            // A chip that sleeps, or one that left: the next reading looks.
            self.read = LOOK_AGAIN;
        }
    }

    /// Frequency of the fastest group of cores as a part of its highest.
    pub(super) fn frequency(&self) -> Option<f32> {
        let parts = self.policies.iter().filter_map(|policy| Some(number(&policy.current)? / policy.highest));
        parts.filter(|part| part.is_finite() && *part > 0.0).map(|part| part.min(1.0)).reduce(f32::max)
    }
}

impl Policy {
    fn open(folder: &Path) -> Option<Self> {
        let highest = kernel::number::<f32>(&folder.join("cpuinfo_max_freq")).filter(|highest| *highest > 0.0)?;
        Some(Self { current: File::open(folder.join("scaling_cur_freq")).ok()?, highest })
    }
}

/// The number in a file that is open, from its start.
fn number(file: &File) -> Option<f32> {
    let mut buffer = [0; 32];
    let length = file.read_at(&mut buffer, 0).ok()?;
    std::str::from_utf8(&buffer[..length]).ok()?.trim().parse().ok()
}

fn is_processor(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    DRIVERS.contains(&name.as_str()) || BOARDS.iter().any(|start| name.starts_with(start)) && name.ends_with("thermal")
}

fn of_chip(chip: &Path) -> Vec<Sensor> {
    let Some(driver) = kernel::text(&chip.join("name")).filter(|name| is_processor(name)) else { return Vec::new() };
    let inputs: Vec<(PathBuf, String)> = (0..MOST_INPUTS)
        .map(|number| chip.join(format!("temp{number}")))
        .filter(|input| with_ending(input, "_input").exists())
        .map(|input| (input.clone(), kernel::text(&with_ending(&input, "_label")).unwrap_or_default()))
        .collect();
    let labels: Vec<&str> = inputs.iter().map(|(_, label)| label.as_str()).collect();
    let wanted = inputs.iter().filter(|(_, label)| tells(label, &labels));
    wanted.filter_map(|(input, label)| of_input(&driver, chip, input, label)).collect()
}

/// coretemp gives a core its number + 2, and numbers have holes.
const MOST_INPUTS: u32 = 130;

/// The package's sensor is the hottest of its cores'. AMD's control temperature (Tctl) carries an offset of up to 27
/// degrees on some models; where the real one (Tdie) is there, it counts.
fn tells(label: &str, all: &[&str]) -> bool {
    let package = |label: &str| label.starts_with("Package id") || label.starts_with("Physical id");
    match label {
        label if label.starts_with("Core ") => !all.iter().any(|other| package(other)),
        "Tctl" => !all.contains(&"Tdie"),
        _ => true,
    }
}

fn of_input(driver: &str, chip: &Path, input: &Path, label: &str) -> Option<Sensor> {
    let file = File::open(with_ending(input, "_input")).ok()?;
    let critical = kernel::number::<f32>(&with_ending(input, "_crit")).map(|millidegrees| millidegrees / 1000.0);
    let place = chip.file_name().unwrap_or_default().display();
    Some(Sensor { name: format!("{driver} {label} ({place}/{})", input.file_name()?.display()), file, critical })
}

fn of_zone(zone: &Path) -> Option<Sensor> {
    let kind = kernel::text(&zone.join("type")).filter(|kind| is_processor(kind))?;
    if kernel::text(&zone.join("mode")).is_some_and(|mode| mode == "disabled") {
        return None;
    }
    let file = File::open(zone.join("temp")).ok()?;
    let critical = (0..MOST_TRIPS).find_map(|trip| {
        let point = zone.join(format!("trip_point_{trip}"));
        kernel::text(&with_ending(&point, "_type")).filter(|kind| kind == "critical")?;
        kernel::number::<f32>(&with_ending(&point, "_temp")).map(|millidegrees| millidegrees / 1000.0)
    });
    Some(Sensor { name: format!("{kind} ({})", zone.file_name()?.display()), file, critical })
}

const MOST_TRIPS: u32 = 12;

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_processors_own_sensors_count() {
        for own in ["coretemp", "k10temp", "zenpower", "x86_pkg_temp", "cpu_thermal", "cpu-thermal", "soc-thermal"] {
            assert!(is_processor(own), "{own}");
        }
        for other in ["acpitz", "nvme", "iwlwifi_1", "amdgpu", "BAT0", "pch_skylake", "cpufreq", "nct6775"] {
            assert!(!is_processor(other), "{other}");
        }
    }

    #[test]
    fn one_sensor_speaks_for_a_package() {
        let intel = ["Package id 0", "Core 0", "Core 1"];
        assert_eq!(intel.map(|label| tells(label, &intel)), [true, false, false]);
        assert!(tells("Core 0", &["Core 0", "Core 1"]));
        assert!(!tells("Tctl", &["Tctl", "Tdie", "Tccd1"]) && tells("Tdie", &["Tctl", "Tdie", "Tccd1"]));
        assert!(tells("Tctl", &["Tctl", "Tccd1"]) && tells("", &[""]));
    }
}
