//! One engine and its shells, started, crashed, stopped and upgraded in any order: what must hold after each step.
//!
//! A sequence is chosen by a seed, so that one that fails can be had again. Deliberately absent: what a shell looks like.

#![expect(clippy::unwrap_used, reason = "a test that can't go on says where")]

mod model;

use model::World;

/// Steps of a sequence; each takes up to some seconds.
const STEPS: u32 = 25;

#[test]
fn whatever_crashes_stops_or_is_upgraded_there_is_one_engine_and_everybody_knows_its_state() {
    let mut orphans = 0;
    for seed in [1, 2] {
        let folder = tempfile::tempdir().unwrap();
        let mut world = World::new(folder.path(), seed);
        for step in 0..STEPS {
            let operation = world.choose();
            println!("seed {seed}, step {step}: {operation:?}");
            world.apply(operation);
            world.check();
        }
        orphans += world.end();
    }
    assert!(orphans > 0, "no engine was killed while it had a worker: choose other seeds");
}
