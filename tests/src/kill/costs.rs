//! What the kills cost in CPU time.

use rusqlite::Connection;
use serde_json::Value;

use super::Run;
use super::store::column;

impl Run {
    /// What the kills cost, from the signed results in the engine's own database.
    pub(super) fn weigh(&mut self, db: &Connection) {
        let results: Vec<Value> = column(db, "SELECT signed FROM results")
            .iter()
            .filter_map(|text| serde_json::from_str(text).ok())
            .collect();
        let mut undisturbed = Vec::new();
        let mut disturbed = Vec::new();
        for signed in &results {
            let result = &signed["result"];
            let lease = result["lease"].as_str().unwrap_or_default();
            let (cpu, resumed) = (result["cpu_ms"].as_u64().unwrap_or(0), result["resumed"] == true);
            self.tally.resumed += u32::from(resumed);
            match self.stories.get(lease) {
                None => undisturbed.push(cpu),
                Some(story) => {
                    assert!(resumed || !story.can_resume, "{lease} had a checkpoint and began again: {story:?}");
                    if story.kills > 0 && !story.seldom_synced {
                        disturbed.push((story.spent_ms, cpu, u64::from(story.kills)));
                    }
                }
            }
        }
        let mean = |values: &mut dyn Iterator<Item = u64>| {
            let (sum, count) = values.fold((0, 0), |(sum, count), value| (sum + value, count + 1));
            sum / std::cmp::max(count, 1)
        };
        let plain = mean(&mut undisturbed.iter().copied());
        let lost = |(spent, cpu, kills): &(u64, u64, u64)| (spent + cpu).saturating_sub(plain) / kills;
        self.tally.undisturbed_cpu_ms = plain;
        self.tally.lost_cpu_ms_mean = mean(&mut disturbed.iter().map(lost));
        self.tally.worst = disturbed.iter().copied().max_by_key(lost);
        self.tally.lost_cpu_ms_max = self.tally.worst.as_ref().map_or(0, lost);
    }
}
