//! Results: recorded once, counted at once, so that what was acknowledged is never ahead of its verdict.

use rusqlite::{Connection, OptionalExtension, params};
use surge_protocol::Digest;
use surge_protocol::api::SignedResult;
use surge_protocol::epoch::ConfirmedBy;

use super::leases::{Held, Returned, end_without_vote, held};
use super::verdicts::{Verdict, decide, votes};
use super::{Store, Terms, corrupt};
use crate::clock::{Millis, is_past};
use crate::config::FailureLimits;
use crate::error::{Code, Error, Result};
use crate::verify::{Tally, tally};

/// A result whose signature and output were checked.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub node: surge_protocol::Address,
    pub signed: SignedResult,
    pub output_size: u64,
    pub now: Millis,
    pub limits: FailureLimits,
}

/// What recording a result changed.
#[derive(Debug, Clone)]
pub enum Delivered {
    /// The same result was recorded before.
    Again,
    /// A vote that decides nothing yet.
    Vote,
    /// A vote that brought the verdict, or that a known truth rejected.
    Judged(Verdict),
    /// An ending that does not vote.
    NoVote(Returned),
}

impl Store {
    /// Records a result; with it the verdict, when it brings one.
    ///
    /// # Errors
    /// `unknown_lease`, `not_yours`, `result_conflict`, `task_decided`.
    pub async fn deliver(&self, delivery: Delivery) -> Result<Delivered> {
        let terms = self.terms.clone();
        self.write(move |db| deliver(db, &terms, &delivery)).await
    }
}

fn deliver(db: &Connection, terms: &Terms, delivery: &Delivery) -> Result<Delivered> {
    let result = &delivery.signed.result;
    let held = held(db, result.lease, delivery.node)?;
    if let Some(again) = recorded(db, delivery)? {
        return again;
    }
    if !held.task_open {
        let message = "the task was decided without this result, nothing is paid for it: drop it";
        return Err(Error::new(Code::TaskDecided, message));
    }
    if is_past(held.deadline, delivery.now) {
        return Err(Error::new(
            Code::DeadlinePassed,
            "the job's deadline has passed, nothing more is paid for: drop it",
        ));
    }
    if !result.outcome.votes(&result.code) {
        let failure = Some((result.outcome, &result.code));
        return end_without_vote(db, &held, failure, delivery.now, delivery.limits).map(Delivered::NoVote);
    }
    insert(db, &held, delivery)?;
    count(db, terms, &held, delivery.now)
}

/// The answer for a lease whose result is known: the same is fine, another is not. A failure that was told before keeps
/// nobody from having a result after all.
fn recorded(db: &Connection, delivery: &Delivery) -> Result<Option<Result<Delivered>>> {
    let lease = delivery.signed.result.lease;
    let failed = db.prepare_cached("SELECT 1 FROM failures WHERE lease = ?")?.exists([lease.0])?;
    if failed && !delivery.signed.result.outcome.votes(&delivery.signed.result.code) {
        return Ok(Some(Ok(Delivered::Again)));
    }
    let known: Option<String> = db
        .prepare_cached("SELECT body FROM results WHERE lease = ?")?
        .query_row([lease.0], |row| row.get(0))
        .optional()?;
    let Some(known) = known else { return Ok(None) };
    let known: SignedResult = serde_json::from_str(&known).map_err(corrupt)?;
    let conflict =
        || Error::new(Code::ResultConflict, "another result of this lease is recorded: it stays, drop this one");
    Ok(Some(if known.result == delivery.signed.result { Ok(Delivered::Again) } else { Err(conflict()) }))
}

fn insert(db: &Connection, held: &Held, delivery: &Delivery) -> Result<()> {
    let voted = db
        .prepare_cached("SELECT 1 FROM results WHERE task = ? AND payout = ?")?
        .exists(params![held.task.0, held.payout.as_slice()])?;
    if voted {
        let message = "this payout has a result of this task already, from another lease: drop this one";
        return Err(Error::new(Code::ResultConflict, message));
    }
    db.prepare_cached("UPDATE leases SET live = 0 WHERE lease = ?")?.execute([held.lease.0])?;
    db.prepare_cached(
        "INSERT INTO results (lease, task, node, payout, body, output_size, verdict) VALUES (?, ?, ?, ?, ?, ?, 'awaiting')",
    )?
    .execute(params![
        held.lease.0,
        held.task.0,
        held.node.as_slice(),
        held.payout.as_slice(),
        serde_json::to_string(&delivery.signed).map_err(corrupt)?,
        delivery.output_size.cast_signed()
    ])?;
    Ok(())
}

/// Judges the task when its votes, or a truth that is known, allow it.
fn count(db: &Connection, terms: &Terms, held: &Held, now: Millis) -> Result<Delivered> {
    if let Some(truth) = held.truth {
        return decide(db, terms, held, truth, ConfirmedBy::Replay, now).map(Delivered::Judged);
    }
    match tally(&votes(db, held.task)?, held.quorum) {
        Tally::Agreed(truth) => decide(db, terms, held, truth, ConfirmedBy::Quorum, now).map(Delivered::Judged),
        Tally::Short | Tally::Split => Ok(Delivered::Vote),
    }
}

/// The size of an output that a result named.
pub(super) fn output_size(db: &Connection, task: Digest, node: surge_protocol::Address) -> Result<u64> {
    let size = db
        .prepare_cached("SELECT output_size FROM results WHERE task = ? AND node = ?")?
        .query_row(params![task.0, node.as_slice()], |row| super::codec::id(row, 0))?;
    Ok(size)
}
