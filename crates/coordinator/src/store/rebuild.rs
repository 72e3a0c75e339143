//! Reads what the hot state is rebuilt from when the coordinator starts.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, Row};
use surge_protocol::api::{JobId, LeaseId, SubmitJob, TaskId};
use surge_protocol::task::BlobRef;
use surge_protocol::{Address, Digest};

use super::Store;
use super::codec::{address, digest, id, json};
use crate::clock::Millis;
use crate::error::Result;

/// All that is undecided.
#[derive(Debug, Default)]
pub struct Recovered {
    pub jobs: HashMap<JobId, Arc<SubmitJob>>,
    pub tasks: Vec<LoadedTask>,
    pub leases: Vec<LoadedLease>,
    pub votes: Vec<LoadedVote>,
    /// Task and node of every failure on an open task.
    pub failures: Vec<(TaskId, Address)>,
    /// Node, module, number of faults and the time of the newest.
    pub faults: Vec<(Address, Digest, u64, Millis)>,
    pub nodes: Vec<(Address, Address)>,
}

#[derive(Debug, Clone)]
pub struct LoadedTask {
    pub task: TaskId,
    pub job: JobId,
    pub index: u64,
    pub input: BlobRef,
    pub truth_known: bool,
}

#[derive(Debug, Clone)]
pub struct LoadedLease {
    pub lease: LeaseId,
    pub task: TaskId,
    pub node: Address,
    pub payout: Address,
}

#[derive(Debug, Clone)]
pub struct LoadedVote {
    pub task: TaskId,
    pub node: Address,
    pub payout: Address,
    pub digest: Digest,
}

impl Store {
    /// Everything that the hot state is made of.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn recover(&self) -> Result<Recovered> {
        self.read(|db| {
            Ok(Recovered {
                jobs: jobs(db)?,
                tasks: rows(db, TASKS, task)?,
                leases: rows(db, LEASES, lease)?,
                votes: rows(db, VOTES, vote)?,
                failures: rows(db, FAILURES, |row| Ok((digest(row, 0)?, address(row, 1)?)))?,
                faults: rows(db, FAULTS, |row| Ok((address(row, 0)?, digest(row, 1)?, id(row, 2)?, id(row, 3)?)))?,
                nodes: rows(db, "SELECT node, payout FROM nodes", |row| Ok((address(row, 0)?, address(row, 1)?)))?,
            })
        })
        .await
    }
}

const TASKS: &str = "SELECT task, job, number, input, input_size, truth IS NOT NULL FROM tasks WHERE state = 'open'";
const LEASES: &str = "SELECT lease, task, node, payout FROM leases JOIN tasks USING (task)
                      WHERE live = 1 AND tasks.state = 'open'";
const VOTES: &str = "SELECT task, node, payout, body FROM results JOIN tasks USING (task)
                     WHERE tasks.state = 'open' ORDER BY arrival";
const FAILURES: &str = "SELECT task, node FROM failures JOIN tasks USING (task) WHERE tasks.state = 'open'";
const FAULTS: &str = "SELECT node, module, count(*), max(at) FROM faults GROUP BY node, module";

fn jobs(db: &Connection) -> Result<HashMap<JobId, Arc<SubmitJob>>> {
    let query = "SELECT job, submitted FROM jobs WHERE state = 'running'";
    let jobs = rows(db, query, |row| Ok((digest(row, 0)?, Arc::new(json::<SubmitJob>(row, 1)?))))?;
    Ok(jobs.into_iter().collect())
}

fn task(row: &Row<'_>) -> rusqlite::Result<LoadedTask> {
    Ok(LoadedTask {
        task: digest(row, 0)?,
        job: digest(row, 1)?,
        index: id(row, 2)?,
        input: BlobRef { digest: digest(row, 3)?, size: id(row, 4)? },
        truth_known: row.get(5)?,
    })
}

fn lease(row: &Row<'_>) -> rusqlite::Result<LoadedLease> {
    Ok(LoadedLease { lease: digest(row, 0)?, task: digest(row, 1)?, node: address(row, 2)?, payout: address(row, 3)? })
}

fn vote(row: &Row<'_>) -> rusqlite::Result<LoadedVote> {
    let signed: surge_protocol::api::SignedResult = json(row, 3)?;
    Ok(LoadedVote {
        task: digest(row, 0)?,
        node: address(row, 1)?,
        payout: address(row, 2)?,
        digest: signed.result.digest,
    })
}

fn rows<T>(db: &Connection, query: &str, read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>) -> Result<Vec<T>> {
    Ok(db.prepare(query)?.query_map([], read)?.collect::<rusqlite::Result<_>>()?)
}
