//! Game controllers: the kernel's device is a pipe here, through which the test sends the kernel's events.

use std::fs::{File, OpenOptions};
use std::io::Write;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::machine::{Machine, forbid};

/// A controller that is plugged in: what sysfs says of it, and its device. The buttons are those of an Xbox pad.
fn plug(machine: &Machine, number: u32, name: &str) -> File {
    let about = [
        ("name", name),
        ("properties", "0"),
        ("capabilities/key", "7cdb000000000000 0 0 0 0"),
        ("capabilities/abs", "3003f"),
    ];
    machine.set_all(&format!("sys/class/input/event{number}/device"), &about);
    pipe(machine, number)
}

fn pipe(machine: &Machine, number: u32) -> File {
    let path = machine.path(&format!("dev/input/event{number}"));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    // The folder's watcher sees the device with its writer: moved in whole, as udev's is.
    let aside = machine.path(&format!("event{number}"));
    mknodat(CWD, &aside, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    let device = OpenOptions::new().read(true).write(true).open(&aside).unwrap();
    std::fs::rename(&aside, &path).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    device
}

/// A `struct input_event`.
fn send(device: &mut File, kind: u16, code: u16, value: i32) {
    let mut event = vec![0; size_of::<libc::timeval>()];
    event.extend(kind.to_ne_bytes());
    event.extend(code.to_ne_bytes());
    event.extend(value.to_ne_bytes());
    device.write_all(&event).unwrap();
}

const SYN: u16 = 0;
const KEY: u16 = 1;
const ABS: u16 = 3;
const BUTTON_A: u16 = 0x130;
const HAT: u16 = 0x10;

#[test]
fn a_hand_on_a_controller_is_a_use_for_as_long_as_one_on_a_keyboard() {
    if !Machine::can_be_made() {
        return;
    }
    let machine = Machine::new();
    let mut pad = plug(&machine, 3, "Pad One");
    let mut sensors = machine.start(&["1"]);
    sensors.look("nobody plays", |line| line.is("uses", "[]"));
    send(&mut pad, SYN, 0, 0);
    send(&mut pad, ABS, 0, 1);
    sensors.look("a stick of which nothing is known", |line| line.is("uses", "[]"));
    // Nothing is asked for: the event itself wakes the reader.
    send(&mut pad, KEY, BUTTON_A, 1);
    sensors.until("a button", |line| line.is("uses", "[Gamepad(\"Pad_One\")]"));
    sensors.until("a second without one", |line| line.is("uses", "[]"));
    send(&mut pad, ABS, HAT, -1);
    sensors.until("the cross", |line| line.is("uses", "[Gamepad(\"Pad_One\")]"));
}

#[test]
fn controllers_come_and_go() {
    if !Machine::can_be_made() {
        return;
    }
    let machine = Machine::new();
    std::fs::create_dir_all(machine.path("dev/input")).unwrap();
    let mut sensors = machine.start(&["600"]);
    sensors.look("no controller", |line| line.is("uses", "[]"));
    let mut pad = plug(&machine, 5, "Late Pad");
    send(&mut pad, KEY, BUTTON_A, 1);
    sensors.until("one was plugged in", |line| line.is("uses", "[Gamepad(\"Late_Pad\")]"));
    drop(pad);
    machine.remove("dev/input/event5");
    let mut other = plug(&machine, 6, "Other");
    send(&mut other, KEY, BUTTON_A, 1);
    sensors.until("another one", |line| line.is("uses", "[Gamepad(\"Other\")]"));
}

#[test]
fn what_is_no_controller_or_may_not_be_read_is_not_counted() {
    if !Machine::can_be_made() {
        return;
    }
    let machine = Machine::new();
    let mut keyboard = pipe(&machine, 0);
    let about = [
        ("name", "Keyboard"),
        ("capabilities/key", "402000000 3803078f800d001 feffffdfffefffff fffffffffffffffe"),
        ("capabilities/abs", "0"),
    ];
    machine.set_all("sys/class/input/event0/device", &about);
    let mut unknown = pipe(&machine, 1);
    machine.set_all(
        "sys/class/input/event1/device",
        &[("name", "Garbage"), ("capabilities/key", "zzz"), ("capabilities/abs", "")],
    );
    let mut forbidden = plug(&machine, 2, "Forbidden");
    forbid(&machine.path("dev/input/event2"));
    for device in [&mut keyboard, &mut unknown, &mut forbidden] {
        send(device, KEY, BUTTON_A, 1);
    }
    let mut sensors = machine.start_powerless(&["600"]);
    // One more that works: what came before it has been looked at.
    let mut pad = plug(&machine, 9, "Pad");
    send(&mut pad, KEY, BUTTON_A, 1);
    sensors.look("the one that counts", |line| line.is("uses", "[Gamepad(\"Pad\")]"));
}
