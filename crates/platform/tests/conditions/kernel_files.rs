//! What the kernel says in files: power, temperature, memory pressure, sound, lid, processes.

use std::fs;
use std::process::Command;

use crate::machine::{Killed, Machine, Sensors, forbid};

const AC: &str = "sys/class/power_supply/AC";
const BAT0: &str = "sys/class/power_supply/BAT0";

fn laptop() -> Machine {
    let machine = Machine::new();
    machine.set_all(AC, &[("type", "Mains"), ("online", "1")]);
    machine.set_all(BAT0, &[("type", "Battery"), ("present", "1"), ("status", "Charging"), ("capacity", "80")]);
    machine
}

#[test]
fn power_is_the_machines_own() {
    if !Machine::can_be_made() {
        return;
    }
    let machine = laptop();
    // A mouse that runs down.
    let mouse = [("type", "Battery"), ("scope", "Device"), ("status", "Discharging"), ("capacity", "5")];
    machine.set_all("sys/class/power_supply/hidpp_battery_0", &mouse);
    let mut sensors = machine.start(&["180"]);
    sensors.look("plugged in", |line| line.is("power", "mains"));

    machine.set(&format!("{AC}/online"), "0");
    machine.set(&format!("{BAT0}/status"), "Discharging");
    sensors.look("unplugged", |line| line.is("power", "battery(80)"));

    machine.set_all("sys/class/power_supply/BAT1", &[("type", "Battery"), ("status", "Unknown"), ("capacity", "40")]);
    sensors.look("a second battery", |line| line.is("power", "battery(60)"));
    machine.remove("sys/class/power_supply/BAT1");

    machine.set(&format!("{AC}/online"), "1");
    sensors.look("plugged in again", |line| line.is("power", "mains"));
    machine.set(&format!("{BAT0}/power_now"), "-4000000");
    sensors.look("a charger that does not keep up", |line| line.is("power", "battery(80)"));
}

#[test]
fn power_that_cannot_be_read_is_a_battery() {
    if !Machine::can_be_made() {
        return;
    }
    let machine = laptop();
    machine.set(&format!("{AC}/online"), "perhaps");
    machine.set_all(BAT0, &[("status", "\u{1}garbage"), ("capacity", "4294967295")]);
    let mut sensors = machine.start(&["180"]);
    sensors.look("garbage", |line| line.is("power", "battery(none)"));
    machine.remove(&format!("{BAT0}/status"));
    fs::create_dir(machine.path(&format!("{BAT0}/status"))).unwrap();
    sensors.look("a file that can't be read", |line| line.is("power", "battery(none)"));

    // A laptop's kernel without a battery's driver, then a tower's.
    machine.remove("sys/class/power_supply");
    machine.set("sys/class/dmi/id/chassis_type", "10");
    sensors.look("a laptop that tells nothing", |line| line.is("power", "unknown"));
    machine.set("sys/class/dmi/id/chassis_type", "3");
    sensors.look("a tower", |line| line.is("power", "mains"));
    sensors.end();

    let machine = laptop();
    forbid(&machine.path("sys/class/power_supply"));
    machine.start_powerless(&["180"]).look("a folder that may not be read", |line| line.is("power", "unknown"));
}

const CORETEMP: &str = "sys/class/hwmon/hwmon2";

#[test]
fn the_hottest_sensor_that_can_be_believed_counts() {
    if !Machine::can_be_made() {
        return;
    }
    let machine = Machine::new();
    machine.set_all(CORETEMP, &[("name", "coretemp"), ("temp1_label", "Package id 0"), ("temp1_input", "45000")]);
    machine.set_all(CORETEMP, &[("temp1_crit", "100000"), ("temp2_label", "Core 0"), ("temp2_input", "99000")]);
    machine.set_all("sys/class/hwmon/hwmon0", &[("name", "acpitz"), ("temp1_input", "98000")]);
    machine.set_all("sys/class/hwmon/hwmon1", &[("name", "nvme"), ("temp1_input", "97000")]);
    machine.set_all("sys/class/thermal/thermal_zone0", &[("type", "acpitz"), ("temp", "96000")]);
    let zone = [
        ("type", "x86_pkg_temp"),
        ("temp", "44000"),
        ("trip_point_0_type", "critical"),
        ("trip_point_0_temp", "105000"),
    ];
    machine.set_all("sys/class/thermal/thermal_zone7", &zone);
    machine.set_all(
        "sys/devices/system/cpu/cpufreq/policy0",
        &[("cpuinfo_max_freq", "3200000"), ("scaling_cur_freq", "800000")],
    );
    machine.set_all(
        "sys/devices/system/cpu/cpufreq/policy4",
        &[("cpuinfo_max_freq", "2000000"), ("scaling_cur_freq", "garbage")],
    );

    let mut sensors = machine.start(&["180"]);
    let line = sensors.look("the package", |line| line.is("celsius", "45"));
    assert_eq!((line.get("critical"), line.get("frequency")), ("100", "0.25"));
    machine.set(&format!("{CORETEMP}/temp1_input"), "61000");
    sensors.look("the package, warmer", |line| line.is("celsius", "61"));
    for nonsense in ["127000", "-128000", "0", "garbage", ""] {
        machine.set(&format!("{CORETEMP}/temp1_input"), nonsense);
        let line = sensors.look("the zone alone", |line| line.is("celsius", "44"));
        assert_eq!(line.get("critical"), "105", "{nonsense:?}");
    }
    machine.set(&format!("{CORETEMP}/temp1_input"), "62000");
    sensors.look("the package is back", |line| line.is("celsius", "62"));
    // Its driver is unloaded, and the zone fails: all are looked for again.
    machine.remove(CORETEMP);
    machine.set("sys/class/thermal/thermal_zone7/temp", "garbage");
    sensors.look("no sensor", |line| line.is("celsius", "none"));
}

#[test]
fn a_machine_without_sensors_says_so() {
    if !Machine::can_be_made() {
        return;
    }
    let machine = Machine::new();
    let mut sensors = machine.start(&["180"]);
    let line = sensors.look("the load", |line| line.is("load", "system"));
    assert_eq!((line.get("celsius"), line.get("critical"), line.get("frequency")), ("none", "none", "none"));
    assert_eq!((line.get("power"), line.get("uses"), line.get("lid")), ("mains", "[]", "false"));
    sensors.end();

    let machine = Machine::new();
    machine.set_all(CORETEMP, &[("name", "coretemp"), ("temp1_input", "45000")]);
    forbid(&machine.path(&format!("{CORETEMP}/temp1_input")));
    machine.start_powerless(&["180"]).look("a sensor that may not be read", |line| line.is("celsius", "none"));
}

#[test]
fn memory_pressure_is_what_psi_says() {
    if !Machine::can_be_made() {
        return;
    }
    let machine = Machine::new();
    let pressure = |percent: &str| format!("some avg10={percent} avg60=0.00 avg300=0.00 total=1\nfull avg10=1.00");
    machine.set("proc/pressure/memory", &pressure("37.50"));
    let mut sensors = machine.start(&["180"]);
    sensors.look("pressure", |line| line.is("pressure", "37.5"));
    for nonsense in ["", "some", "some avg10=-1", "\u{0}"] {
        machine.set("proc/pressure/memory", nonsense);
        sensors.look("nonsense", |line| line.is("pressure", "none"));
        machine.set("proc/pressure/memory", &pressure("2.25"));
        sensors.look("pressure again", |line| line.is("pressure", "2.25"));
    }
    machine.remove("proc/pressure/memory");
    sensors.look("a kernel without PSI", |line| line.is("pressure", "none"));
}

#[test]
fn a_call_is_sound_that_is_recorded_while_some_plays() {
    if !Machine::can_be_made() {
        return;
    }
    let machine = Machine::new();
    let (microphone, speaker) = ("proc/asound/card1/pcm0c/sub0/status", "proc/asound/card0/pcm3p/sub0/status");
    machine.set(microphone, "closed");
    machine.set(speaker, "closed");
    let own = std::process::id();
    let running = format!("state: RUNNING\nowner_pid   : {own}\ntrigger_time: 1.5");
    let name = fs::read_to_string(format!("/proc/{own}/comm")).unwrap();

    let mut sensors = machine.start(&["180"]);
    sensors.look("silence", |line| line.is("uses", "[]"));
    machine.set(speaker, &running);
    sensors.look("music", |line| line.is("uses", "[]"));
    machine.set(microphone, &running);
    sensors.look("a call", |line| line.is("uses", &format!("[Call(\"{}\")]", name.trim().replace(' ', "_"))));
    machine.set(microphone, "state: RUNNING\nowner_pid   : 4000000");
    sensors.look("a call by nobody known", |line| line.is("uses", "[Call(\"\")]"));
    machine.set(speaker, "state: PREPARED");
    sensors.look("a recording", |line| line.is("uses", "[]"));
    machine.set(speaker, &running);
    sensors.look("a call again", |line| line.get("uses").contains("Call"));
    machine.remove("proc/asound/card1");
    sensors.look("the headset was pulled out", |line| line.is("uses", "[]"));
}

#[test]
fn the_lid_is_the_kernels() {
    if !Machine::can_be_made() {
        return;
    }
    let machine = Machine::new();
    machine.set("proc/acpi/button/lid/LID0/state", "state:      open");
    let mut sensors = machine.start(&["180"]);
    sensors.look("open", |line| line.is("lid", "false"));
    machine.set("proc/acpi/button/lid/LID0/state", "state:      closed");
    sensors.look("shut", |line| line.is("lid", "true"));
    machine.set("proc/acpi/button/lid/LID0/state", "garbage");
    sensors.look("garbage", |line| line.is("lid", "false"));
}

#[test]
fn programs_of_the_list_are_found_by_name_and_the_list_can_change() {
    let mut sensors = Sensors::start_in(&[], &["180", "auto", "SLEEP.exe", "surely-nobody-runs-this"]);
    let program = || Killed(Command::new("sleep").arg("1000").spawn().unwrap());
    let first = program();
    sensors.look("it runs", |line| line.is("excluded", "[SLEEP.exe]"));
    sensors.order("want 180 auto surely-nobody-runs-this");
    sensors.look("another list", |line| line.is("excluded", "[]"));
    sensors.order("want 180 headless sleep");
    let line = sensors.look("another list and source", |line| line.is("excluded", "[sleep]"));
    assert_eq!(line.get("presence"), "headless");
    drop(first);
}
