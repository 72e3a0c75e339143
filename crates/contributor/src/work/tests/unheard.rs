//! Tasks that were given to this node though no answer said so.

use super::*;

impl World {
    /// A world in which the coordinator has given a task, and its answer is on its way.
    async fn with_an_answer_on_its_way() -> Self {
        let world = Self::start();
        world.work.decide(run(1));
        world.until("the request", |world| world.coordinator.count("lease") == 1).await;
        sleep(Duration::from_secs(1)).await;
        world.coordinator.offer();
        world.coordinator.comes("granted").await;
        assert_eq!(world.coordinator.position("given"), None);
        world
    }

    fn assert_it_is_for_somebody_else(&self) {
        let state = self.coordinator.state();
        assert!(state.live.is_empty() && state.waiting.len() == 1, "{state:?}");
        drop(state);
        assert!(self.work.store.recorded().unwrap().recorded.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_given_at_the_moment_of_a_hold_goes_back() {
    let world = World::with_an_answer_on_its_way().await;
    world.work.decide(hold(ReasonCode::UserActive));
    sleep(Duration::from_secs(1)).await;
    world.assert_it_is_for_somebody_else();
    let ended = world.coordinator.position("lease ends");
    assert!(ended < world.coordinator.position("give back"), "the request ends first");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_given_at_the_moment_of_a_stop_goes_back() {
    let world = World::with_an_answer_on_its_way().await;
    world.stop().await;
    world.assert_it_is_for_somebody_else();
}

#[tokio::test(start_paused = true)]
async fn a_task_goes_back_over_a_bad_line_though_nobody_heard_of_it() {
    let world = World::with_an_answer_on_its_way().await;
    world.coordinator.fail("give back", &[Fault::Silent, Fault::Lost, Fault::None]);
    world.work.decide(hold(ReasonCode::UserActive));
    world.until("its return", |world| world.coordinator.state().live.is_empty()).await;
    assert_eq!(world.coordinator.count("give back"), 3);
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_answer_was_lost_is_repeated_and_brings_the_same_task() {
    let world = World::start();
    world.coordinator.fail("answer", &[Fault::Lost, Fault::Lost, Fault::None]);
    world.work.decide(run(1));
    let lease = world.begin_a_task().await;
    assert_eq!(world.coordinator.count(&format!("granted {}", lease.lease)), 3);
    assert_eq!(world.coordinator.count("give back"), 0);
    world.workers.finish_first(b"the answer");
    world.until("the delivery", |world| world.coordinator.state().delivered == [lease.lease]).await;
    let next = world.begin_a_task().await;
    assert_ne!(next.lease, lease.lease, "the next request is another one");
}

#[tokio::test(start_paused = true)]
async fn a_task_whose_answer_was_lost_goes_back_when_its_request_is_not_repeated() {
    let world = World::start();
    world.coordinator.fail("answer", &[Fault::Lost]);
    world.coordinator.fail("lease", &[Fault::None, Fault::Silent]);
    world.coordinator.offer();
    world.work.decide(run(1));
    world.until("a try to repeat it", |world| world.coordinator.count("lease ends") == 2).await;
    assert_eq!(world.coordinator.count("give back"), 0);
    assert_eq!(world.coordinator.state().live.len(), 1);
    world.work.decide(hold(ReasonCode::UserActive));
    sleep(Duration::from_secs(1)).await;
    world.assert_it_is_for_somebody_else();
}

#[tokio::test(start_paused = true)]
async fn a_stop_without_a_line_waits_for_nobody() {
    // No request ever arrived.
    let world = World::start();
    world.coordinator.fail("lease", &[Fault::Silent]);
    world.work.decide(run(1));
    world.until("a try", |world| world.trouble() == [ReasonCode::CoordinatorUnreachable]).await;
    world.stop().await;
    assert_eq!(world.coordinator.count("give back"), 0);

    // One is open when the line goes down: one try, and no other after it.
    let world = World::with_an_answer_on_its_way().await;
    world.coordinator.fail("give back", &[Fault::Silent]);
    let before = world.clock.now();
    world.stop().await;
    assert_eq!(world.coordinator.count("give back"), 1);
    assert!(world.clock.now() - before < Duration::from_secs(1), "{:?}", world.clock.now() - before);
}
