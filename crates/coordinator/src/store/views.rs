//! What the store answers questions with. Nothing here changes anything.

use rusqlite::{Connection, OptionalExtension, Row, params};
use surge_protocol::api::{Account, JobId, JobState, JobStatus, TaskResultRow};
use surge_protocol::epoch::SignedReceipt;
use surge_protocol::split::split;
use surge_protocol::task::BlobRef;
use surge_protocol::{Address, Amount};

use super::codec::{address, amount, id, json};
use super::epochs::newest_finalized;
use super::results::output_size;
use super::{EpochRow, Store, books, corrupt};
use crate::error::Result;
use crate::ledger;

/// Sums over the whole store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Totals {
    pub tasks_open: u64,
    pub tasks_validated: u64,
    pub results_rejected: u64,
    pub receipts_unsettled: u64,
    pub finalized: Option<EpochRow>,
}

/// The most receipts that one answer holds; an account with more reads the epochs' files.
const RECEIPTS: u32 = 1_000;

impl Store {
    /// A job's state; `waiting` counts every open task, since only the board knows which run.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn job(&self, job: JobId) -> Result<Option<JobStatus>> {
        self.read(move |db| status(db, job)).await
    }

    /// The paid results of a job, in order of its tasks; `None` for an unknown job.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn job_results(&self, job: JobId) -> Result<Option<Vec<TaskResultRow>>> {
        self.read(move |db| {
            if status(db, job)?.is_none() {
                return Ok(None);
            }
            let mut query = db.prepare_cached(
                "SELECT receipt FROM receipts JOIN tasks USING (task) WHERE tasks.job = ? ORDER BY number",
            )?;
            let receipts = query.query_map([job.0], |row| json(row, 0))?.collect::<rusqlite::Result<Vec<_>>>()?;
            receipts.iter().map(|receipt| result_row(db, receipt)).collect::<Result<_>>().map(Some)
        })
        .await
    }

    /// An account without what is settled on chain.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn account(&self, address: Address, fee_bps: u16) -> Result<Account> {
        self.read(move |db| account(db, address, fee_bps)).await
    }

    /// The newest receipts that concern an account, oldest first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn receipts(&self, account: Address) -> Result<Vec<SignedReceipt>> {
        self.read(move |db| {
            let mut query = db.prepare_cached(
                "SELECT receipt FROM parties JOIN receipts USING (decided) WHERE account = ? ORDER BY decided DESC LIMIT ?",
            )?;
            let rows = query.query_map(params![account.as_slice(), RECEIPTS], |row| json(row, 0))?;
            let mut receipts: Vec<SignedReceipt> = rows.collect::<rusqlite::Result<_>>()?;
            receipts.reverse();
            Ok(receipts)
        })
        .await
    }

    /// # Errors
    /// When the store fails.
    pub async fn totals(&self) -> Result<Totals> {
        self.read(|db| {
            let count = |sql: &str| -> Result<u64> { Ok(db.prepare_cached(sql)?.query_row([], |row| id(row, 0))?) };
            let unsettled = "SELECT count(*) FROM receipts LEFT JOIN epochs USING (epoch)
                             WHERE state IS NULL OR state <> 'finalized'";
            Ok(Totals {
                tasks_open: count("SELECT count(*) FROM tasks WHERE state = 'open'")?,
                tasks_validated: count("SELECT count(*) FROM tasks WHERE state = 'validated'")?,
                results_rejected: count("SELECT count(*) FROM results WHERE verdict = 'rejected'")?,
                receipts_unsettled: count(unsettled)?,
                finalized: newest_finalized(db)?,
            })
        })
        .await
    }

    /// The newest finalized epoch.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn finalized(&self) -> Result<Option<EpochRow>> {
        self.read(newest_finalized).await
    }

    /// Every ledger account with its balance, and the sum of all entries. For audits and tests.
    ///
    /// # Errors
    /// When the store fails, or a balance is not the sum of its entries.
    pub async fn audit(&self) -> Result<(std::collections::BTreeMap<String, i128>, i128)> {
        self.read(audit).await
    }
}

fn status(db: &Connection, job: JobId) -> Result<Option<JobStatus>> {
    let mut query = db.prepare_cached(
        "SELECT name, requester, state, tasks, open, failed, price, budget, spent,
         (SELECT count(*) FROM results JOIN tasks AS t USING (task) WHERE t.job = jobs.job AND verdict = 'rejected')
         FROM jobs WHERE job = ?",
    )?;
    let read = |row: &Row<'_>| {
        let state: String = row.get(2)?;
        let (tasks, open, failed) = (id(row, 3)?, id(row, 4)?, id(row, 5)?);
        Ok(JobStatus {
            job,
            name: row.get(0)?,
            requester: address(row, 1)?,
            state: match state.as_str() {
                "done" => JobState::Done,
                "failed" => JobState::Failed,
                _ => JobState::Running,
            },
            tasks,
            waiting: open,
            running: 0,
            validated: tasks - open - failed,
            failed,
            rejected: id(row, 9)?,
            price: amount(row, 6)?,
            budget: amount(row, 7)?,
            spent: amount(row, 8)?,
        })
    };
    Ok(query.query_row([job.0], read).optional()?)
}

fn result_row(db: &Connection, signed: &SignedReceipt) -> Result<TaskResultRow> {
    let receipt = &signed.receipt;
    let accepted: Vec<_> = receipt.shares.iter().filter(|share| share.accepted).collect();
    let first = accepted.first().ok_or_else(|| corrupt(format_args!("the receipt of {} pays nobody", receipt.task)))?;
    Ok(TaskResultRow {
        index: receipt.index,
        task: receipt.task,
        outcome: first.result.outcome,
        code: first.result.code.clone(),
        digest: receipt.digest,
        output: BlobRef { digest: first.result.output, size: output_size(db, receipt.task, first.node)? },
        confirmed_by: receipt.confirmed_by,
        nodes: accepted.iter().map(|share| share.node).collect(),
    })
}

fn account(db: &Connection, address: Address, fee_bps: u16) -> Result<Account> {
    let known = |verdict: &str| -> Result<u64> {
        let mut query =
            db.prepare_cached("SELECT count(*) FROM results WHERE (payout = ?1 OR node = ?1) AND verdict = ?2")?;
        Ok(query.query_row(params![address.as_slice(), verdict], |row| id(row, 0))?)
    };
    let deposited = u128::try_from(-books::balance(db, ledger::Account::Deposited(address))?).map(Amount);
    let deposited = deposited.map_err(|_| corrupt("a deposit is negative"))?;
    let reserved = books::amount(db, ledger::Account::Reserved(address))?;
    Ok(Account {
        address,
        awaiting_verdict: known("awaiting")?,
        awaiting_amount: awaiting(db, address, fee_bps)?,
        accepted: known("accepted")?,
        rejected: known("rejected")?,
        credited: books::amount(db, ledger::Account::Credit(address))?,
        settled: None,
        deposited,
        reserved,
        spent: spent(db, address)?,
    })
}

/// What the results that await a verdict would bring.
fn awaiting(db: &Connection, address: Address, fee_bps: u16) -> Result<Amount> {
    let mut query = db.prepare_cached(
        "SELECT price FROM results JOIN tasks USING (task) JOIN jobs USING (job)
         WHERE (payout = ?1 OR node = ?1) AND verdict = 'awaiting'",
    )?;
    let prices = query.query_map([address.as_slice()], |row| amount(row, 0))?.collect::<rusqlite::Result<Vec<_>>>()?;
    let nets = prices.into_iter().map(|price| split(price, fee_bps).net);
    nets.into_iter()
        .try_fold(Amount::ZERO, Amount::checked_add)
        .ok_or_else(|| corrupt("what awaits a verdict overflows"))
}

/// What a requester's verdicts debited: deposited − free − reserved.
fn spent(db: &Connection, requester: Address) -> Result<Amount> {
    let deposited = -books::balance(db, ledger::Account::Deposited(requester))?;
    let available = books::balance(db, ledger::Account::Available(requester))?;
    let reserved = books::balance(db, ledger::Account::Reserved(requester))?;
    u128::try_from(deposited - available - reserved)
        .map(Amount)
        .map_err(|_| corrupt("a requester spent less than nothing"))
}

fn audit(db: &Connection) -> Result<(std::collections::BTreeMap<String, i128>, i128)> {
    let mut sums = std::collections::BTreeMap::<String, i128>::new();
    let mut query = db.prepare("SELECT account, amount FROM entries")?;
    let rows = query.query_map([], |row| Ok((row.get::<_, String>(0)?, super::codec::number::<i128>(row, 1)?)))?;
    for row in rows {
        let (account, amount) = row?;
        *sums.entry(account).or_default() += amount;
    }
    let mut query = db.prepare("SELECT account, balance FROM balances")?;
    let rows = query.query_map([], |row| Ok((row.get::<_, String>(0)?, super::codec::number::<i128>(row, 1)?)))?;
    let balances = rows.collect::<rusqlite::Result<std::collections::BTreeMap<_, _>>>()?;
    if balances != sums {
        return Err(corrupt("a balance is not the sum of its entries"));
    }
    let total = sums.values().sum();
    Ok((balances, total))
}
