//! When a task is asked for, what the coordinator is told of this computer, and which tasks it may give.

use surge_protocol::task::TaskSpec;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_hold_ends_the_open_request() {
    let world = World::start();
    world.work.decide(run(1));
    world.until("the request", |world| world.coordinator.count("lease") == 1).await;
    world.work.decide(hold(ReasonCode::UserActive));
    world.until("its end", |world| world.coordinator.count("lease ends") == 1).await;
    world.coordinator.offer();
    sleep(Duration::from_secs(60)).await;
    assert!(world.coordinator.state().live.is_empty());
}

#[tokio::test(start_paused = true)]
async fn no_task_is_asked_for_until_the_load_is_known_and_then_with_that_load() {
    let world = World::start();
    world.load.send_replace(None);
    world.work.decide(run(1));
    sleep(Duration::from_secs(60)).await;
    assert_eq!(world.coordinator.count("lease"), 0);
    world.load.send_replace(Some(Load { cpu_percent: 40.0, available_bytes: 1 << 30, memory_pressure: None }));
    world.until("the request", |world| world.coordinator.count("lease") == 1).await;
    let state = world.coordinator.state();
    let told: Vec<_> = state.asked.iter().map(|request| (request.load_percent, request.free_memory_bytes)).collect();
    assert_eq!(told, [(40.0, 1 << 30)]);
}

#[tokio::test(start_paused = true)]
async fn a_hold_and_a_stop_do_not_wait_for_the_load() {
    let world = World::start();
    world.load.send_replace(None);
    world.work.decide(run(1));
    sleep(Duration::from_secs(1)).await;
    world.work.decide(hold(ReasonCode::SensorStale));
    sleep(Duration::from_secs(60)).await;
    world.load.send_replace(Some(Load { cpu_percent: 5.0, available_bytes: 8 << 30, memory_pressure: None }));
    sleep(Duration::from_secs(60)).await;
    assert_eq!(world.coordinator.count("lease"), 0, "nothing is asked for while work is held");
    world.load.send_replace(None);
    world.work.decide(run(1));
    sleep(Duration::from_secs(1)).await;
    world.stop().await;
    world.running.await.unwrap();
    assert_eq!(world.coordinator.count("lease"), 0);
}

#[test]
fn a_tasks_limits_are_this_nodes_to_accept() {
    let fits = |change: &dyn Fn(&mut TaskSpec)| {
        let mut spec = a_lease(1).spec;
        change(&mut spec);
        io_tasks::fits(&spec, 1 << 30)
    };
    assert!(fits(&|_| {}));
    let too_much: [&dyn Fn(&mut TaskSpec); 8] = [
        &|spec| spec.limits.memory_bytes = (1 << 30) + 1,
        &|spec| spec.limits.memory_bytes = 0,
        &|spec| spec.limits.cpu_ms = 0,
        &|spec| spec.limits.output_bytes = u64::MAX,
        &|spec| spec.limits.log_bytes = 1 << 30,
        &|spec| spec.limits.files_bytes = 1 << 40,
        &|spec| spec.module.size = u64::MAX,
        &|spec| spec.stdin.size = 1 << 40,
    ];
    for (number, change) in too_much.iter().enumerate() {
        assert!(!fits(change), "change {number}");
    }
}
