//! Single days in the life of a plan.

use super::*;

/// A world whose coordinator always has work of one hour's deadline; every task takes `length`.
fn busy(length: Millis, workers: u32, time: Millis) -> (World, Millis) {
    let mut world = World::new();
    world.happen(&Chance::Gate(workers));
    let mut started = BTreeMap::new();
    let mut idle = 0;
    for _ in 0..time / 1_000 {
        world.happen(&Chance::Answer { give: true, expires_in: 60_000, deadline_in: 36_000_000 });
        world.happen(&Chance::Fetch(0, None));
        for n in 0..world.beating.len() as u8 {
            world.happen(&Chance::Beat(n, Heard::Extended(60_000)));
        }
        world.happen(&Chance::Deliver(true));
        for lease in world.workers.clone() {
            if world.now >= *started.entry(lease).or_insert(world.now) + length {
                world.end(lease, Ending::Stored);
            }
        }
        world.pass(1_000);
        idle += u64::from(workers).saturating_sub(world.workers.len() as u64) * 1_000;
    }
    (world, idle)
}

#[test]
fn a_hold_ends_the_open_request_first() {
    let mut plan = Plan::new(1, Vec::new(), Vec::new());
    let at = |now| Moment { now, jitter: 0 };
    let open = Input::Gate { workers: 1, new_work: NewWork::Fetched };
    assert_eq!(step(&mut plan, open.clone(), at(0)), [Action::Ask(Asked::New)]);
    assert_eq!(step(&mut plan, Input::Gate { workers: 0, new_work: NewWork::Here }, at(10)), [Action::CancelAsk]);
    let come = terms(1, 60_000, 36_000_000);
    let back = [Action::GiveBack(come.lease, None), Action::Forget(come.lease)];
    assert_eq!(step(&mut plan, Input::Leased(come), at(20)), back, "its answer was on its way");
    assert_eq!(step(&mut plan, open, at(30)), [], "somebody else is to have it");
    assert_eq!(plan.poll_timeout(), Some(5_020));
}

#[test]
fn a_request_without_an_answer_is_made_again_or_its_task_given_back() {
    let mut plan = Plan::new(1, Vec::new(), Vec::new());
    let at = |now| Moment { now, jitter: 0 };
    let open = Input::Gate { workers: 1, new_work: NewWork::Fetched };
    let held = Input::Gate { workers: 0, new_work: NewWork::Here };
    let lost = |after| Input::AnswerLost { after };
    assert_eq!(step(&mut plan, open.clone(), at(0)), [Action::Ask(Asked::New)]);
    assert_eq!(step(&mut plan, lost(None), at(1)), []);
    plan.handle_timeout(at(1_001));
    assert_eq!(actions(&mut plan), [Action::Ask(Asked::Again)]);
    assert_eq!(step(&mut plan, lost(Some(40_000)), at(2_000)), [Action::Decline], "its lease would be over by then");
    plan.handle_timeout(at(42_000));
    assert_eq!(actions(&mut plan), [Action::Ask(Asked::New)]);
    assert_eq!(step(&mut plan, lost(None), at(43_000)), []);
    assert_eq!(step(&mut plan, held.clone(), at(43_001)), [Action::Decline]);
    assert_eq!(step(&mut plan, open, at(43_002)), []);
    plan.handle_timeout(at(50_000));
    assert_eq!(actions(&mut plan), [Action::Ask(Asked::New)]);
    assert_eq!(step(&mut plan, held, at(50_001)), [Action::CancelAsk]);
    assert_eq!(step(&mut plan, lost(None), at(50_002)), [Action::Decline]);
    assert_eq!(step(&mut plan, Input::Stop, at(50_003)), [], "once");
}

#[test]
fn a_request_without_an_answer_is_given_back_when_the_task_before_it_is_over_and_no_other_is_wanted() {
    let mut world = World::new();
    world.happen(&Chance::Gate(1));
    world.happen(&Chance::Answer { give: true, expires_in: 0, deadline_in: 3_600_000 });
    world.happen(&Chance::Answer { give: false, expires_in: 0, deadline_in: 0 });
    world.happen(&Chance::Fetch(0, None));
    // It runs, and the next one is asked for.
    world.happen(&Chance::AnswerLost(None));
    assert!(world.unheard && !world.counted.contains_key("decline"), "the request is soon made again");
    // Its worker must go before there can be another.
    world.happen(&Chance::Beat(0, Heard::Over));
    assert_eq!(world.counted.get("decline"), Some(&1));
}

#[test]
fn a_task_goes_back_when_the_open_request_has_ended() {
    let [first, next] = [1, 2].map(|n| terms(n, 60_000, 36_000_000));
    let mut plan = Plan::new(1, Vec::new(), Vec::new());
    let at = |now| Moment { now, jitter: 0 };
    let _ = step(&mut plan, Input::Gate { workers: 2, new_work: NewWork::Fetched }, at(0));
    assert_eq!(step(&mut plan, Input::Leased(first), at(0)), [Action::Fetch(first.lease), Action::Ask(Asked::New)]);
    let unfit = Input::NotFetched(first.lease, Obstacle::Unfit);
    assert_eq!(step(&mut plan, unfit, at(1)), [Action::CancelAsk]);
    let why = Some((Outcome::Invalid, Code::word("task")));
    let back = [Action::GiveBack(first.lease, why), Action::Forget(first.lease), Action::Fetch(next.lease)];
    assert_eq!(step(&mut plan, Input::Leased(next), at(2)), back);
}

#[test]
fn a_stop_gives_back_what_was_killed_and_keeps_what_was_being_stored() {
    let mut plan = Plan::new(1, Vec::new(), Vec::new());
    let at = |now| Moment { now, jitter: 0 };
    let _ = step(&mut plan, Input::Gate { workers: 3, new_work: NewWork::Fetched }, at(0));
    let all = [1, 2, 3].map(|n| terms(n, 60_000, 36_000_000));
    for terms in all {
        let _ = step(&mut plan, Input::Leased(terms), at(0));
        let _ = step(&mut plan, Input::Fetched(terms.lease), at(0));
    }
    let [killed, stored, synced] = all.map(|terms| terms.lease);
    let kills = [Action::CancelAsk, Action::Kill(synced), Action::Kill(stored), Action::Kill(killed)];
    assert_eq!(step(&mut plan, Input::Stop, at(1)), kills);
    assert_eq!(step(&mut plan, Input::AskCancelled, at(2)), []);
    let lost = |further| Ending::Lost { outcome: Outcome::Host, code: Code::word("killed"), further };
    let back = [Action::GiveBack(killed, None), Action::Forget(killed)];
    assert_eq!(step(&mut plan, Input::Ended(killed, lost(false)), at(3)), back);
    assert_eq!(step(&mut plan, Input::Ended(stored, Ending::Stored), at(4)), [], "the next engine delivers it");
    assert!(!plan.has_stopped());
    assert_eq!(step(&mut plan, Input::Ended(synced, lost(true)), at(5)), [], "the next engine goes on with it");
    assert!(plan.has_stopped());
}

#[test]
fn a_result_that_is_being_stored_is_not_given_back() {
    let mut world = running(3_600_000);
    world.happen(&Chance::Gate(0));
    minutes(&mut world, 16);
    assert_eq!((world.counted.get("give back"), world.killed.len()), (None, 1), "paused for too long");
    let lease = *world.workers.first().unwrap();
    world.end(lease, Ending::Stored);
    assert_eq!((world.counted.get("give back"), world.lives[&lease]), (None, Life::Stored));
}

#[test]
fn one_connection_that_leads_nowhere_holds_up_no_other_result() {
    let leases = [1, 2, 3].map(|n| Digest([n; 32]));
    let mut plan = Plan::new(1, Vec::new(), leases.to_vec());
    let at = |now| Moment { now, jitter: 0 };
    let held = Input::Gate { workers: 0, new_work: NewWork::Here };
    assert_eq!(step(&mut plan, held, at(0)), leases.map(Action::Deliver));
    assert_eq!(step(&mut plan, Input::Delivered(leases[1]), at(1)), []);
    assert_eq!(step(&mut plan, Input::DeliveryFailed(leases[2], None), at(2)), []);
    plan.handle_timeout(at(1_002));
    assert_eq!(actions(&mut plan), [Action::Deliver(leases[2])], "while the first hangs still");
}

#[test]
fn a_core_never_waits_for_the_next_task() {
    for length in [5_000, 20_000, 300_000] {
        let (world, idle) = busy(length, 1, 3_600_000);
        let done = world.lives.values().filter(|life| **life == Life::Delivered).count() as u64;
        // The test looks once a second, so that a task takes up to one more.
        assert!(done > 3_600_000 / (length + 1_000) * 9 / 10, "{done} tasks of {length} ms");
        assert!(idle <= 3_000, "{idle} ms without a task, tasks of {length} ms");
    }
}

#[test]
fn a_task_that_waits_behind_a_long_one_is_given_back_once() {
    let (world, _) = busy(3_000_000, 1, 2_900_000);
    assert_eq!(world.counted.get("give back"), Some(&1), "the length of the first is not known");
    let (world, _) = busy(3_000_000, 1, 30_000_000);
    assert!(world.counted["give back"] <= 2, "then it is asked for ahead when the end is near");
}

fn running(deadline_in: Millis) -> World {
    let mut world = World::new();
    world.happen(&Chance::Gate(1));
    world.happen(&Chance::Answer { give: true, expires_in: 60_000, deadline_in });
    world.happen(&Chance::Fetch(0, None));
    assert_eq!(world.workers.len(), 1);
    world
}

/// Passes `minutes`, with every heartbeat answered.
fn minutes(world: &mut World, minutes: u64) {
    for _ in 0..minutes * 6 {
        world.pass(10_000);
        while !world.beating.is_empty() {
            world.happen(&Chance::Beat(0, Heard::Extended(60_000)));
        }
    }
}

#[test]
fn a_task_that_is_paused_for_long_is_given_back_unless_there_is_slack() {
    // Its limit is ten CPU minutes.
    let mut short = running(3_600_000);
    short.happen(&Chance::Gate(0));
    short.happen(&Chance::AskFails);
    minutes(&mut short, 14);
    assert_eq!(short.counted.get("give back"), None);
    minutes(&mut short, 2);
    let killed = Ending::Lost { outcome: Outcome::Host, code: Code::word("killed"), further: false };
    short.end(*short.killed.first().unwrap(), killed);
    assert_eq!(short.counted["give back"], 1);

    let mut long = running(36_000_000);
    long.happen(&Chance::Gate(0));
    minutes(&mut long, 120);
    assert_eq!(long.counted.get("give back"), None);
    long.happen(&Chance::Gate(1));
    assert_eq!(long.workers.len(), 1, "it goes on where it was");
}

#[test]
fn what_the_deadline_does_not_allow_is_not_begun() {
    let mut world = running(36_000_000);
    minutes(&mut world, 30);
    let lease = *world.workers.first().unwrap();
    world.end(lease, Ending::Stored);
    // Half an hour it took; tasks 1 and 3 are of one job.
    world.given += 1;
    world.asking = true;
    world.plan.asking.begin(&mut VecDeque::new());
    world.happen(&Chance::Answer { give: true, expires_in: 60_000, deadline_in: 600_000 });
    assert_eq!(world.counted["give back"], 1);
}

#[test]
fn to_finish_gives_back_what_has_not_begun() {
    let (running, next) = (terms(1, 60_000, 36_000_000), terms(2, 60_000, 36_000_000));
    let mut plan = Plan::new(1, Vec::new(), Vec::new());
    let at = |now| Moment { now, jitter: 0 };
    let _ = step(&mut plan, Input::Gate { workers: 1, new_work: NewWork::Fetched }, at(0));
    for terms in [running, next] {
        let _ = step(&mut plan, Input::Leased(terms), at(0));
        let _ = step(&mut plan, Input::Fetched(terms.lease), at(0));
    }
    let finish = Input::Gate { workers: 1, new_work: NewWork::None };
    assert_eq!(step(&mut plan, finish, at(1)), [Action::GiveBack(next.lease, None), Action::Forget(next.lease)]);
    let late = terms(3, 60_000, 36_000_000);
    let given = step(&mut plan, Input::Leased(late), at(2));
    assert_eq!(given, [Action::GiveBack(late.lease, None), Action::Forget(late.lease)], "it was asked for before");
    let crash = Ending::Lost { outcome: Outcome::Host, code: Code::word("crashed"), further: false };
    assert_eq!(step(&mut plan, Input::Ended(running.lease, crash), at(3)), [Action::Start(running.lease)]);
    assert_eq!(step(&mut plan, Input::Ended(running.lease, Ending::Stored), at(4)), [Action::Deliver(running.lease)]);
}

#[test]
fn to_finish_keeps_what_has_a_checkpoint_of_the_engine_before() {
    let began = Terms { begun: true, ..terms(1, 60_000, 36_000_000) };
    let fresh = terms(2, 60_000, 36_000_000);
    let mut plan = Plan::new(1, vec![began, fresh], Vec::new());
    assert_eq!(plan.begun(), 1);
    let finish = Input::Gate { workers: 1, new_work: NewWork::None };
    let first = step(&mut plan, finish, Moment { now: 0, jitter: 0 });
    assert!(first.contains(&Action::GiveBack(fresh.lease, None)), "{first:?}");
    assert!(!first.contains(&Action::GiveBack(began.lease, None)), "{first:?}");
    assert_eq!(plan.begun(), 1, "it waits for what it needs, and has not ended");
}

#[test]
fn a_lease_of_the_engine_before_is_gone_on_with_or_asked_about() {
    let running = terms(1, 60_000, 3_600_000);
    let doubtful = terms(2, 0, 3_600_000);
    let mut plan = Plan::new(1, vec![running, doubtful], vec![Digest([9; 32])]);
    let at = |now| Moment { now, jitter: 0 };
    let held = step(&mut plan, Input::Gate { workers: 0, new_work: NewWork::Here }, at(0));
    assert_eq!(
        held,
        [
            Action::Fetch(running.lease),
            Action::Beat(running.lease, LeaseState::Paused),
            Action::Deliver(Digest([9; 32]))
        ]
    );
    let open = step(&mut plan, Input::Gate { workers: 2, new_work: NewWork::Fetched }, at(1));
    assert_eq!(open, [Action::Beat(doubtful.lease, LeaseState::Running)]);
    let back = step(&mut plan, Input::Beaten(doubtful.lease, Heard::Extended(60_000)), at(2));
    assert_eq!(back, [Action::Fetch(doubtful.lease)]);

    let mut plan = Plan::new(1, vec![doubtful], Vec::new());
    let _ = step(&mut plan, Input::Gate { workers: 1, new_work: NewWork::Fetched }, at(0));
    let over = step(&mut plan, Input::Beaten(doubtful.lease, Heard::Over), at(1));
    assert_eq!(over, [Action::Forget(doubtful.lease), Action::Ask(Asked::New)]);
}

#[test]
fn retries_slow_down_to_a_minute() {
    assert_eq!(delay(None, 1, 0), 1_000);
    for failures in 7..100 {
        assert!((60_000..=75_000).contains(&delay(None, failures, failures as u8)), "{failures}");
    }
    assert_eq!(delay(Some(120_000), 1, 0), 120_000, "the other side's word counts");
    assert_eq!(delay(Some(0), 1, 0), 1_000);
}
