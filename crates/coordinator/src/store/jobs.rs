//! Orders, their tasks, and how both end.

use rusqlite::{Connection, params};
use surge_protocol::api::{JobId, SubmitJob, TaskId, task_id};
use surge_protocol::{Address, Amount};

use super::codec::{address, amount, id};
use super::{Store, books, corrupt};
use crate::error::{Code, Error, Result};
use crate::ledger::{self, Account};

/// A checked order.
#[derive(Debug, Clone)]
pub struct Submission {
    pub job: JobId,
    pub order: SubmitJob,
    pub budget: Amount,
}

impl Store {
    /// Makes the ledger follow what the chain says that `requester` deposited.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn follow_deposit(&self, requester: Address, on_chain: Amount) -> Result<()> {
        self.write(move |db| books::follow_deposit(db, requester, on_chain)).await
    }

    /// Stores the order with its tasks and reserves its budget. `false`: this very order was stored before.
    ///
    /// # Errors
    /// `insufficient_escrow` with both numbers.
    pub async fn submit(&self, submission: Submission) -> Result<bool> {
        self.write(move |db| submit(db, &submission)).await
    }
}

fn submit(db: &Connection, submission: &Submission) -> Result<bool> {
    let Submission { job, order, budget } = submission;
    // The id is the hash of all that the requester signed: the same id is the same order.
    if db.prepare_cached("SELECT 1 FROM jobs WHERE job = ?")?.exists([job.0])? {
        return Ok(false);
    }
    let text = serde_json::to_string(order).map_err(corrupt)?;
    require(db, order.requester, *budget)?;
    books::post(db, &ledger::reserve(*job, order.requester, *budget).map_err(corrupt)?)?;
    let tasks = order.inputs.len() as i64;
    db.execute(
        "INSERT INTO jobs (job, requester, submitted, name, module, price, quorum, deadline, output_bytes, budget, tasks,
         open, state) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11, 'running')",
        params![
            job.0,
            order.requester.as_slice(),
            text,
            order.name,
            order.module.digest.0,
            order.price.0.to_string(),
            order.quorum,
            order.deadline.cast_signed(),
            order.limits.output_bytes.cast_signed(),
            budget.0.to_string(),
            tasks
        ],
    )?;
    let mut insert = db.prepare_cached(
        "INSERT INTO tasks (task, job, number, input, input_size, state) VALUES (?, ?, ?, ?, ?, 'open')",
    )?;
    for (index, input) in (0u64..).zip(&order.inputs) {
        let size = input.size.cast_signed();
        insert.execute(params![task_id(*job, index).0, job.0, index.cast_signed(), input.digest.0, size])?;
    }
    Ok(true)
}

fn require(db: &Connection, requester: Address, budget: Amount) -> Result<()> {
    let available = books::balance(db, Account::Available(requester))?;
    if available >= ledger::signed(budget).map_err(corrupt)? {
        return Ok(());
    }
    let available = Amount(u128::try_from(available).unwrap_or(0));
    let message = format!(
        "the order may cost up to {budget}, but only {available} of {requester}'s escrow is free: deposit more, or order less"
    );
    Err(Error::new(Code::InsufficientEscrow, message))
}

/// How a task ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Validated { debit: Amount },
    Failed,
}

/// Ends an open task, and with the last one its job, which then gives back what it did not spend.
/// `true` when the job ended.
pub(super) fn end_task(db: &Connection, task: TaskId, job: JobId, end: End) -> Result<bool> {
    let (state, failed, debit) = match end {
        End::Validated { debit } => ("validated", 0, debit),
        End::Failed => ("failed", 1, Amount::ZERO),
    };
    db.prepare_cached("UPDATE tasks SET state = ? WHERE task = ?")?.execute(params![state, task.0])?;
    db.prepare_cached("UPDATE leases SET live = 0 WHERE task = ? AND live = 1")?.execute([task.0])?;
    db.prepare_cached("UPDATE results SET verdict = 'void' WHERE task = ? AND verdict = 'awaiting'")?
        .execute([task.0])?;
    let (requester, budget, spent, open) = db
        .prepare_cached("SELECT requester, budget, spent, open FROM jobs WHERE job = ?")?
        .query_row([job.0], |row| Ok((address(row, 0)?, amount(row, 1)?, amount(row, 2)?, id(row, 3)?)))?;
    let spent = spent.checked_add(debit).ok_or_else(|| corrupt("a job's spending overflows"))?;
    let open = open.checked_sub(1).ok_or_else(|| corrupt("a job has fewer open tasks than it should"))?;
    db.prepare_cached(
        "UPDATE jobs SET spent = ?1, open = ?2, failed = failed + ?3,
         state = CASE WHEN ?2 > 0 THEN 'running' WHEN failed + ?3 > 0 THEN 'failed' ELSE 'done' END WHERE job = ?4",
    )?
    .execute(params![spent.0.to_string(), open.cast_signed(), failed, job.0])?;
    if open > 0 {
        return Ok(false);
    }
    let rest = budget.checked_sub(spent).ok_or_else(|| corrupt("a job spent more than its budget"))?;
    books::post(db, &ledger::refund(job, requester, rest).map_err(corrupt)?)?;
    Ok(true)
}
