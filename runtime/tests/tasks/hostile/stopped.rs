//! A supervisor that is stopped from outside, say by `kill -STOP`. (Part of hostile case 64.)

use std::fs;
use std::time::Duration;

use rustix::process::Signal;

use super::second::Second;
use crate::door::wait_until_stopped;

/// Its worker must not compute on while nobody is there who could suspend it.
#[test]
fn a_worker_whose_supervisor_is_stopped_stops_itself_and_ends_as_undisturbed() {
    let folder = tempfile::tempdir().unwrap();
    let mut second = Second::start("long mixture", folder.path());
    let worker = second.worker();
    second.signal(Signal::STOP);
    wait_until_stopped(second.child.id());
    let before = cpu_time(worker);
    // The worker, too, and by no hand but its own.
    wait_until_stopped(worker);
    let unattended = cpu_time(worker).checked_sub(before).unwrap();
    println!("   a worker used {unattended:?} of CPU time after its supervisor was stopped");
    assert!(unattended <= Duration::from_secs(3), "{unattended:?}");
    let mut other = Second::start("long mixture", folder.path());
    let undisturbed = other.says("ended ");
    assert!(other.child.wait().unwrap().success());
    assert!(undisturbed.starts_with("done/0 "), "{undisturbed}");
    second.signal(Signal::CONT);
    assert_eq!(second.says("ended "), undisturbed);
    assert!(second.child.wait().unwrap().success());
}

/// CPU time of a process that is not ours to wait for.
fn cpu_time(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // User and system time, in hundredths of a second.
    let fields = stat.rsplit_once(") ").unwrap().1.split(' ').skip(11).take(2);
    Duration::from_millis(10 * fields.map(|ticks| ticks.parse::<u64>().unwrap()).sum::<u64>())
}
