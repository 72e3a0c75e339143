//! An engine whose home hangs: its owner comes back, and work stops all the same.
//!
//! Deliberately absent: how soon. `cargo xtask bench yield` measures that.

#![cfg(target_os = "linux")]

use std::time::{Duration, Instant};

use surge_tests::bench::{Bed, Condition, Hand, Seat, WORKERS};
use surge_tests::disk::{Disk, Pace, Rule, Work};
use surge_tests::network::wait_for;
use surge_tests::process::{Clock, stopped};

fn hangs(work: Work, under: Option<&str>) -> Vec<Rule> {
    vec![Rule { work, under: under.map(Into::into), pace: Pace::Hangs }]
}

/// Waits until all workers compute.
fn all_compute(bed: &Bed) -> Vec<u32> {
    wait_for("the workers", || {
        let workers = bed.workers();
        let read = || workers.iter().map(|pid| Clock::of(*pid).ok()?.now()).collect::<Option<Vec<_>>>();
        let before = read()?;
        std::thread::sleep(Duration::from_millis(20));
        let after = read()?;
        let all = before.iter().zip(&after).all(|(before, after)| after > before);
        (workers.len() == WORKERS && all).then_some(workers)
    })
}

#[test]
fn the_owner_is_heard_while_the_home_hangs() {
    let tried = tempfile::tempdir().unwrap();
    if let Err(error) = Disk::under(tried.path()) {
        println!("this user can have no disk of its own here: {error}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let hand = Hand::at(Seat::Wayland).unwrap();
    let bed = Bed::start(folder.path(), &hand, Condition::Settings).unwrap();
    bed.order().unwrap();
    let disk = bed.disk().unwrap();
    let all_of_it = hangs(Work::Any, None);
    let cases =
        [hangs(Work::Sync, None), hangs(Work::Look, Some("settings.toml")), hangs(Work::Write, None), all_of_it];
    for (number, rules) in cases.into_iter().enumerate() {
        let workers = all_compute(&bed);
        disk.set(&rules);
        // Until the engine has met it. One that asks nothing of its disk meanwhile is as good.
        let begun = Instant::now();
        while disk.waiting() == 0 && begun.elapsed() < Duration::from_secs(3) {
            std::thread::sleep(Duration::from_millis(20));
        }
        hand.touch(number).unwrap();
        // Nothing is let go before.
        wait_for(&format!("the end of work while the disk has {rules:?}"), || {
            workers.iter().all(|pid| stopped(*pid)).then_some(())
        });
        disk.set(&[]);
        hand.lift().unwrap();
        wait_for("the engine's answer", || bed.answers().then_some(()));
    }
    let workers = all_compute(&bed);
    assert_eq!(workers.len(), WORKERS, "it works on when its disk does");
}
