//! Verdicts: the receipt, the money, the faults and the task's end, all in one transaction.

use rusqlite::{Connection, OptionalExtension, Row, params};
use surge_protocol::api::{JobId, TaskId};
use surge_protocol::epoch::{ConfirmedBy, SignedReceipt};
use surge_protocol::{Address, Digest};

use super::codec::{address, amount, digest, id, json};
use super::jobs::{End, end_task};
use super::leases::Held;
use super::{Store, Terms, books, corrupt};
use crate::clock::Millis;
use crate::error::Result;
use crate::ledger;
use crate::verdict::{Facts, Given, Standing, receipt, standings};
use crate::verify::Vote;

/// What a verdict did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub task: TaskId,
    pub module: Digest,
    /// The nodes whose results are true.
    pub accepted: Vec<Address>,
    /// The nodes whose results this verdict newly found wrong.
    pub faults: Vec<Fault>,
    /// The nodes whose results are wrong and went on from a checkpoint: nobody's fault, and the job's last of that kind.
    pub astray: Vec<Address>,
    /// `false`: the truth is known, but nobody had it; the task goes on.
    pub decided: bool,
    pub job_ended: bool,
}

/// A wrong result, with how many the node has delivered for this module by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    pub node: Address,
    pub count: u64,
}

impl Store {
    /// Applies what the coordinator's own run of a task found. `None` when the task is over already.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn replayed(&self, task: TaskId, truth: Digest, now: Millis) -> Result<Option<Verdict>> {
        let terms = self.terms.clone();
        self.write(move |db| {
            let Some(facts) = open_task(db, task)? else { return Ok(None) };
            db.prepare_cached("UPDATE tasks SET truth = ? WHERE task = ?")?.execute(params![truth.0, task.0])?;
            judge(db, &terms, &facts, truth, ConfirmedBy::Replay, now).map(Some)
        })
        .await
    }

    /// Ends a task that nobody can validate. `Some(true)` when its job ended with it, `None` when it was over already.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn fail_task(&self, task: TaskId) -> Result<Option<bool>> {
        self.write(move |db| {
            let Some(facts) = open_task(db, task)? else { return Ok(None) };
            end_task(db, task, facts.job, End::Failed).map(Some)
        })
        .await
    }
}

pub(super) fn decide(
    db: &Connection,
    terms: &Terms,
    held: &Held,
    truth: Digest,
    by: ConfirmedBy,
    now: Millis,
) -> Result<Verdict> {
    let facts = Facts {
        task: held.task,
        job: held.job,
        index: held.index,
        requester: held.requester,
        module: held.module,
        input: held.input,
        price: held.price,
        quorum: held.quorum,
    };
    judge(db, terms, &facts, truth, by, now)
}

fn judge(
    db: &Connection,
    terms: &Terms,
    facts: &Facts,
    truth: Digest,
    by: ConfirmedBy,
    now: Millis,
) -> Result<Verdict> {
    let results = given(db, facts.task)?;
    let standings = standings(&results, truth, facts.quorum);
    let mut verdict = Verdict {
        task: facts.task,
        module: facts.module,
        accepted: Vec::new(),
        faults: Vec::new(),
        astray: Vec::new(),
        decided: false,
        job_ended: false,
    };
    for (given, standing) in results.iter().zip(&standings) {
        let news = mark(db, given, *standing)?;
        match standing {
            Standing::Accepted => verdict.accepted.push(given.node),
            Standing::Rejected if given.signed.result.resumed => verdict.astray.extend(news.then_some(given.node)),
            Standing::Rejected => verdict.faults.extend(fault(db, given.node, facts, now)?),
            Standing::Surplus => {}
        }
    }
    if !verdict.astray.is_empty() {
        db.prepare_cached("UPDATE jobs SET checkpoints = 0 WHERE job = ?")?.execute([facts.job.0])?;
    }
    if verdict.accepted.is_empty() {
        return Ok(verdict);
    }
    let receipt = receipt(facts, &results, truth, by, terms.network.fee_bps);
    let debit = receipt.debit().map_err(corrupt)?;
    books::post(db, &ledger::verdict(&receipt, terms.network.treasury).map_err(corrupt)?)?;
    insert_receipt(db, &receipt.sign(&terms.key, terms.network.chain_id, terms.network.settlement))?;
    verdict.decided = true;
    verdict.job_ended = end_task(db, facts.task, facts.job, End::Validated { debit })?;
    Ok(verdict)
}

/// Notes what became of a result; whether that is news.
fn mark(db: &Connection, given: &Given, standing: Standing) -> Result<bool> {
    let word = match standing {
        Standing::Accepted => "accepted",
        Standing::Rejected => "rejected",
        Standing::Surplus => "void",
    };
    let changed = db
        .prepare_cached("UPDATE results SET verdict = ?1 WHERE lease = ?2 AND verdict <> ?1")?
        .execute(params![word, given.signed.result.lease.0])?;
    Ok(changed > 0)
}

/// Records a fault once.
fn fault(db: &Connection, node: Address, facts: &Facts, now: Millis) -> Result<Option<Fault>> {
    let fresh = db.prepare_cached("INSERT OR IGNORE INTO faults VALUES (?, ?, ?, ?)")?.execute(params![
        node.as_slice(),
        facts.task.0,
        facts.module.0,
        now.cast_signed()
    ])?;
    if fresh == 0 {
        return Ok(None);
    }
    let count = db
        .prepare_cached("SELECT count(*) FROM faults WHERE node = ? AND module = ?")?
        .query_row(params![node.as_slice(), facts.module.0], |row| id(row, 0))?;
    Ok(Some(Fault { node, count }))
}

fn insert_receipt(db: &Connection, signed: &SignedReceipt) -> Result<()> {
    let text = serde_json::to_string(signed).map_err(corrupt)?;
    let task = signed.receipt.task;
    db.prepare_cached("INSERT INTO receipts (task, receipt) VALUES (?, ?)")?.execute(params![task.0, text])?;
    let decided = db.last_insert_rowid();
    let mut party = db.prepare_cached("INSERT OR IGNORE INTO parties VALUES (?, ?)")?;
    party.execute(params![signed.receipt.requester.as_slice(), decided])?;
    for share in &signed.receipt.shares {
        party.execute(params![share.node.as_slice(), decided])?;
        party.execute(params![share.payout.as_slice(), decided])?;
    }
    Ok(())
}

/// The votes on a task, in order of arrival.
pub(super) fn votes(db: &Connection, task: TaskId) -> Result<Vec<Vote>> {
    let votes = given(db, task)?;
    Ok(votes.iter().map(|given| Vote { payout: given.payout, digest: given.signed.result.digest }).collect())
}

fn given(db: &Connection, task: TaskId) -> Result<Vec<Given>> {
    let mut query = db.prepare_cached("SELECT node, payout, body FROM results WHERE task = ? ORDER BY arrival")?;
    let read = |row: &Row<'_>| Ok(Given { node: address(row, 0)?, payout: address(row, 1)?, signed: json(row, 2)? });
    Ok(query.query_map([task.0], read)?.collect::<rusqlite::Result<_>>()?)
}

fn open_task(db: &Connection, task: TaskId) -> Result<Option<Facts>> {
    let mut query = db.prepare_cached(
        "SELECT job, number, requester, module, input, price, quorum FROM tasks JOIN jobs USING (job)
         WHERE task = ? AND tasks.state = 'open'",
    )?;
    let read = |row: &Row<'_>| {
        Ok(Facts {
            task,
            job: digest(row, 0)? as JobId,
            index: id(row, 1)?,
            requester: address(row, 2)?,
            module: digest(row, 3)?,
            input: digest(row, 4)?,
            price: amount(row, 5)?,
            quorum: row.get(6)?,
        })
    };
    Ok(query.query_row([task.0], read).optional()?)
}
