//! What belongs to one network while another is attached.

use super::*;

/// Long enough for every heartbeat, delivery and retry that would come.
const A_WHILE: Duration = Duration::from_secs(600);

impl World {
    /// Attaches to another network, or again to an earlier one.
    async fn attach(self, network: u8, coordinator: &FakeCoordinator) -> Self {
        self.stop().await;
        let Self { home, running, work, .. } = self;
        running.await.unwrap();
        drop(work);
        Self::start_on(home, network, coordinator.clone())
    }

    /// A task that ran, and whose result nobody took yet.
    async fn finish_a_task(&self, output: &[u8]) -> Lease {
        self.work.decide(run(1));
        let lease = self.begin_a_task().await;
        self.coordinator.fail("deliver", &[Fault::Silent]);
        self.workers.finish_first(output);
        self.until("the try to deliver", |world| world.coordinator.count("deliver") > 0).await;
        lease
    }

    fn output_is_kept(&self, output: &[u8]) -> bool {
        self.work.outputs.read(surge_protocol::Digest::of(output)).is_ok()
    }
}

/// A coordinator that knows none of the leases that others gave.
fn another() -> FakeCoordinator {
    let coordinator = FakeCoordinator::default();
    coordinator.fail("deliver", &[Fault::Refused("unknown_lease")]);
    coordinator
}

#[tokio::test(start_paused = true)]
async fn a_result_waits_for_the_network_whose_task_it_was() {
    let world = World::start();
    let (first, second) = (world.coordinator.clone(), another());
    let lease = world.finish_a_task(b"the answer").await;

    let world = world.attach(2, &second).await;
    world.work.decide(run(1));
    sleep(A_WHILE).await;
    for call in ["deliver", "put", "heartbeat"] {
        assert_eq!(second.count(call), 0, "{call}: it knows nothing of this result");
    }
    assert!(world.output_is_kept(b"the answer"));

    first.fail("deliver", &[Fault::None]);
    let world = world.attach(1, &first).await;
    world.until("the delivery", |_| first.state().delivered == [lease.lease]).await;
}

#[tokio::test(start_paused = true)]
async fn an_output_stays_while_a_result_of_another_network_waits_with_the_same_bytes() {
    let world = World::start();
    let (first, second) = (world.coordinator.clone(), FakeCoordinator::default());
    let lease = world.finish_a_task(b"the answer").await;

    let world = world.attach(2, &second).await;
    world.work.decide(run(1));
    second.offer();
    let other = second.offer();
    // Its first lease has the name of the other network's: it is not taken.
    world.until("the second task", |world| world.work.running().iter().any(|task| task.lease == other.lease)).await;
    assert_eq!(second.count(&format!("give back {}", lease.lease)), 1);
    world.workers.finish_first(b"the answer");
    world.until("its delivery", |_| second.state().delivered == [other.lease]).await;
    sleep(A_WHILE).await;
    assert!(world.output_is_kept(b"the answer"));

    first.fail("deliver", &[Fault::None]);
    let world = world.attach(1, &first).await;
    world.until("the delivery", |_| first.state().delivered == [lease.lease]).await;
    world.until("the output's end", |world| !world.output_is_kept(b"the answer")).await;
}

#[tokio::test(start_paused = true)]
async fn a_task_with_a_checkpoint_goes_on_when_its_network_is_attached_again() {
    let world = World::start();
    let (first, second) = (world.coordinator.clone(), another());
    world.work.decide(run(1));
    let lease = world.begin_a_task().await;
    let folder = world.checkpoint(&lease);

    let world = world.attach(2, &second).await;
    assert_eq!(world.work.begun(), 0);
    world.work.decide(run(1));
    sleep(A_WHILE).await;
    assert_eq!(second.count("heartbeat") + second.count("give back"), 0, "{:?}", second.state());
    assert!(folder.exists());

    let world = world.attach(1, &first).await;
    assert_eq!(world.work.begun(), 1);
    world.work.decide(run(1));
    world.until("its start", |world| world.workers.count() == 1).await;
    world.workers.finish_first(b"the answer");
    world.until("the delivery", |_| first.state().delivered == [lease.lease]).await;
}
