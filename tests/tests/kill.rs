//! Twenty kills at random moments; `cargo xtask kill` does a thousand.

use std::io::Write;
use std::time::Duration;

use serde_json::Value;
use surge_tests::kill::{Plan, Victim, run};
use surge_tests::network::Person;

#[test]
fn kills_at_random_moments_lose_nothing_and_pay_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan {
        kills: 20,
        seed: 7,
        pause: Duration::from_millis(600),
        checkpoint: Duration::from_millis(50),
        rounds: 600,
        steps: 1_000_000,
    };
    let tally = run(folder.path(), &plan, |_| {});
    assert_eq!((tally.lost, tally.paid_twice, tally.corrupt), (0, 0, 0), "{tally:?}");
    assert!(!tally.orphans_ms.is_empty(), "no kill of an engine met a worker: {tally:?}");
    assert_eq!(tally.unattended(), 0, "{tally:?}");
    // Each has its turn among twenty. The desktop app needs a display.
    let shells = [Victim::Watcher, Victim::Terminal].into_iter();
    let desktops = [Victim::Desktop, Victim::DesktopThatStarted].into_iter().filter(|_| tally.no_desktop.is_none());
    for victim in [Victim::Engine, Victim::Coordinator].into_iter().chain(shells).chain(desktops) {
        assert!(tally.of(victim) > 0, "{victim:?}: {tally:?}");
    }
    assert!(tally.workers_undisturbed > 0, "no kill of a shell met a worker: {tally:?}");
    if let Some(why) = &tally.no_desktop {
        // Seen with --nocapture.
        let _ = writeln!(std::io::stderr(), "the desktop app was not killed: {why}");
    }

    // The owner can see it: times in which it worked, with what was measured, and times in which no engine ran.
    let contributor = Person { home: folder.path().join("contributor") };
    let timeline = contributor.answer(&["timeline"]);
    let intervals = timeline["intervals"].as_array().unwrap();
    let earned = |interval: &&Value| interval["state"] == "earning" && interval["cpu_ms"].as_u64() > Some(0);
    assert!(intervals.iter().any(|interval| earned(&interval)), "{timeline}");
    assert!(intervals.iter().any(|interval| interval["state"] == "off"), "{timeline}");
    for pair in intervals.windows(2) {
        assert_eq!(pair[0]["until_ms"], pair[1]["since_ms"], "every moment is told: {timeline}");
    }
    let reasonless = |interval: &&Value| interval["state"] == "held" && interval["reason"] == "";
    assert_eq!(intervals.iter().find(reasonless), None, "what is held has a reason: {timeline}");
    let idle_cpu = |interval: &&Value| interval["state"] != "earning" && interval["cpu_ms"].as_u64() > Some(1_000);
    assert_eq!(intervals.iter().find(idle_cpu), None, "what works is not held: {timeline}");
    assert_eq!(timeline["notices"].as_array().unwrap().len(), 0, "{timeline}");
}
