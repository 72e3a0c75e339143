//! Nodes and leases.

use rusqlite::{Connection, OptionalExtension, Row, params};
use surge_protocol::api::{JobId, LeaseId, Registration, TaskId};
use surge_protocol::{Address, Amount, Code as OutcomeCode, Digest, Outcome};

use super::Store;
use super::codec::{address, amount, digest, id};
use super::jobs::{End, end_task};
use crate::clock::Millis;
use crate::config::FailureLimits;
use crate::error::{Code, Error, Result};

/// A node with what it registered.
#[derive(Debug, Clone)]
pub struct Binding {
    pub node: Address,
    pub registration: Registration,
}

/// A lease about to be given.
#[derive(Debug, Clone)]
pub struct OpenLease {
    pub lease: LeaseId,
    pub task: TaskId,
    pub node: Address,
    pub payout: Address,
    pub runtime_class: String,
    pub issued_at: Millis,
}

/// What came of storing a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opened {
    New {
        /// Whether its task may go on from checkpoints.
        checkpoints: bool,
    },
    /// There was a lease with this id before: nothing was stored.
    UsedBefore,
}

/// A lease that came back without a result that votes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Returned {
    pub task: TaskId,
    pub module: Digest,
    /// The host failed at it, rather than just giving it back.
    pub failure: bool,
    /// The task failed too often and is over; the job, too, when it was its last.
    pub task_failed: bool,
    pub job_ended: bool,
}

impl Store {
    /// Binds a node to its payout. A binding replaces an older one only.
    ///
    /// # Errors
    /// `stale_binding` when a newer one is known, or one of the same time to another payout.
    pub async fn bind(&self, binding: Binding) -> Result<()> {
        self.write(move |db| bind(db, &binding)).await
    }

    /// Records a lease before its node learns of it.
    ///
    /// # Errors
    /// `task_decided` when the task is over; else when the store fails.
    pub async fn open_lease(&self, lease: OpenLease) -> Result<Opened> {
        self.write(move |db| {
            let checkpoints: Option<bool> = db
                .prepare_cached(
                    "SELECT checkpoints FROM tasks JOIN jobs USING (job) WHERE task = ? AND tasks.state = 'open'",
                )?
                .query_row([lease.task.0], |row| row.get(0))
                .optional()?;
            let Some(checkpoints) = checkpoints else {
                return Err(Error::new(Code::TaskDecided, "the task is over"));
            };
            let OpenLease { lease, task, node, payout, runtime_class, issued_at } = lease;
            let insert = "INSERT INTO leases VALUES (?, ?, ?, ?, ?, ?, 1, ?) ON CONFLICT (lease) DO NOTHING";
            let inserted = db.prepare_cached(insert)?.execute(params![
                lease.0,
                task.0,
                node.as_slice(),
                payout.as_slice(),
                runtime_class,
                issued_at.cast_signed(),
                checkpoints
            ])?;
            Ok(if inserted == 0 { Opened::UsedBefore } else { Opened::New { checkpoints } })
        })
        .await
    }

    /// Ends leases that expired. Their results stay welcome while the task is undecided.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn end_leases(&self, leases: Vec<LeaseId>) -> Result<()> {
        self.write(move |db| {
            let mut end = db.prepare_cached("UPDATE leases SET live = 0 WHERE lease = ?")?;
            for lease in leases {
                end.execute([lease.0])?;
            }
            Ok(())
        })
        .await
    }

    /// The lease with what its task and job say, if it is `node`'s.
    ///
    /// # Errors
    /// `unknown_lease`, `not_yours`.
    pub async fn lease(&self, lease: LeaseId, node: Address) -> Result<Held> {
        self.read(move |db| held(db, lease, node)).await
    }

    /// Ends a lease without a vote: given back, or failed by its host. Repeating it changes nothing.
    ///
    /// # Errors
    /// `unknown_lease`, `not_yours`.
    pub async fn give_back(
        &self,
        lease: LeaseId,
        node: Address,
        failure: Option<(Outcome, OutcomeCode)>,
        now: Millis,
        limits: FailureLimits,
    ) -> Result<Returned> {
        self.write(move |db| {
            let held = held(db, lease, node)?;
            let failure = failure.as_ref().map(|(outcome, code)| (*outcome, code));
            end_without_vote(db, &held, failure, now, limits)
        })
        .await
    }
}

fn bind(db: &Connection, binding: &Binding) -> Result<()> {
    let Binding { node, registration } = binding;
    let known = db
        .prepare_cached("SELECT payout, issued_at FROM nodes WHERE node = ?")?
        .query_row([node.as_slice()], |row| Ok((address(row, 0)?, id(row, 1)?)))
        .optional()?;
    if let Some((payout, issued_at)) = known {
        let older = registration.issued_at < issued_at;
        if older || (registration.issued_at == issued_at && registration.payout != payout) {
            let message = format!("a newer binding pays {payout}: sign a new one with the current time");
            return Err(Error::new(Code::StaleBinding, message));
        }
    }
    db.prepare_cached("INSERT OR REPLACE INTO nodes VALUES (?, ?, ?, ?, ?, ?, ?)")?.execute(params![
        node.as_slice(),
        registration.payout.as_slice(),
        registration.issued_at.cast_signed(),
        registration.signature.0.as_slice(),
        registration.cores,
        registration.memory_bytes.cast_signed(),
        registration.engine
    ])?;
    Ok(())
}

/// A lease as its row has it, with what its task and job say.
#[derive(Debug, Clone)]
pub struct Held {
    pub lease: LeaseId,
    pub node: Address,
    pub payout: Address,
    pub runtime_class: String,
    pub task: TaskId,
    pub task_open: bool,
    /// The true digest, once a replay knows it.
    pub truth: Option<Digest>,
    pub index: u64,
    pub input: Digest,
    pub job: JobId,
    pub requester: Address,
    pub module: Digest,
    pub price: Amount,
    pub quorum: u8,
    /// Unix seconds.
    pub deadline: u64,
    pub output_bytes: u64,
    /// Its node was told that the task may go on from a checkpoint.
    pub checkpoints: bool,
}

const HELD: &str = "SELECT lease, node, payout, runtime_class, task, tasks.state = 'open', truth, number, input, job,
    requester, module, price, quorum, deadline, output_bytes, leases.checkpoints
    FROM leases JOIN tasks USING (task) JOIN jobs USING (job) WHERE lease = ?";

/// The lease, if it is `node`'s.
pub(super) fn held(db: &Connection, lease: LeaseId, node: Address) -> Result<Held> {
    let read = |row: &Row<'_>| {
        Ok(Held {
            lease: digest(row, 0)?,
            node: address(row, 1)?,
            payout: address(row, 2)?,
            runtime_class: row.get(3)?,
            task: digest(row, 4)?,
            task_open: row.get(5)?,
            truth: row.get::<_, Option<[u8; 32]>>(6)?.map(Digest),
            index: id(row, 7)?,
            input: digest(row, 8)?,
            job: digest(row, 9)?,
            requester: address(row, 10)?,
            module: digest(row, 11)?,
            price: amount(row, 12)?,
            quorum: row.get(13)?,
            deadline: id(row, 14)?,
            output_bytes: id(row, 15)?,
            checkpoints: row.get(16)?,
        })
    };
    match db.prepare_cached(HELD)?.query_row([lease.0], read).optional()? {
        None => Err(Error::new(Code::UnknownLease, "no such lease: drop this task and ask for another")),
        Some(held) if held.node != node => Err(Error::new(Code::NotYours, "this lease belongs to another node")),
        Some(held) => Ok(held),
    }
}

/// Ends a lease that brought no vote; too many failures end its task.
pub(super) fn end_without_vote(
    db: &Connection,
    held: &Held,
    failure: Option<(Outcome, &OutcomeCode)>,
    now: Millis,
    limits: FailureLimits,
) -> Result<Returned> {
    db.prepare_cached("UPDATE leases SET live = 0 WHERE lease = ?")?.execute([held.lease.0])?;
    let mut returned =
        Returned { task: held.task, module: held.module, failure: false, task_failed: false, job_ended: false };
    let Some((outcome, code)) = failure else { return Ok(returned) };
    let fresh = db.prepare_cached("INSERT OR IGNORE INTO failures VALUES (?, ?, ?, ?, ?, ?)")?.execute(params![
        held.lease.0,
        held.task.0,
        held.node.as_slice(),
        outcome.name(),
        code.to_string(),
        now.cast_signed()
    ])?;
    returned.failure = fresh > 0;
    let (nodes, total) = db
        .prepare_cached("SELECT count(DISTINCT node), count(*) FROM failures WHERE task = ?")?
        .query_row([held.task.0], |row| Ok((id(row, 0)?, id(row, 1)?)))?;
    if held.task_open && limits.reached(nodes, total) {
        returned.task_failed = true;
        returned.job_ended = end_task(db, held.task, held.job, End::Failed)?;
    }
    Ok(returned)
}
