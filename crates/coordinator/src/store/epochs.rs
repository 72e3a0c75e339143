//! Epochs: the exact bytes that are settled, and how far each has come on chain.

use rusqlite::{Connection, OptionalExtension, Row, params};
use surge_protocol::B256;
use surge_protocol::epoch::SignedReceipt;

use super::codec::{id, json};
use super::{Store, corrupt};
use crate::clock::Millis;
use crate::error::Result;

/// How far an epoch has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EpochState {
    Built,
    Proposed,
    Finalized,
}

impl EpochState {
    const fn word(self) -> &'static str {
        match self {
            Self::Built => "built",
            Self::Proposed => "proposed",
            Self::Finalized => "finalized",
        }
    }

    fn parse(word: &str) -> Result<Self> {
        let all = [Self::Built, Self::Proposed, Self::Finalized];
        all.into_iter().find(|state| state.word() == word).ok_or_else(|| corrupt(format_args!("an epoch is {word:?}")))
    }
}

/// An epoch without its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochRow {
    pub epoch: u64,
    pub state: EpochState,
    pub built_at: Millis,
    pub propose_tx: Option<B256>,
    pub finalize_tx: Option<B256>,
}

impl Store {
    /// The newest epoch, whatever its state.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn newest_epoch(&self) -> Result<Option<EpochRow>> {
        self.read(|db| {
            epoch(db, "SELECT epoch, state, built_at, propose_tx, finalize_tx FROM epochs ORDER BY epoch DESC LIMIT 1")
        })
        .await
    }

    /// The bytes of an epoch's file.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn epoch_file(&self, epoch: u64) -> Result<Option<Vec<u8>>> {
        self.read(move |db| {
            let mut query = db.prepare_cached("SELECT file FROM epochs WHERE epoch = ?")?;
            Ok(query.query_row([epoch.cast_signed()], |row| row.get(0)).optional()?)
        })
        .await
    }

    /// At most `limit` receipts that no epoch holds, in order of decision.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn unsettled(&self, limit: u32) -> Result<Vec<SignedReceipt>> {
        self.read(move |db| {
            let mut query =
                db.prepare_cached("SELECT receipt FROM receipts WHERE epoch IS NULL ORDER BY decided LIMIT ?")?;
            Ok(query.query_map([limit], |row| json(row, 0))?.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// Keeps an epoch's file and marks its receipts as being in it.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn add_epoch(
        &self,
        epoch: u64,
        file: Vec<u8>,
        tasks: Vec<surge_protocol::Digest>,
        now: Millis,
    ) -> Result<()> {
        self.write(move |db| {
            db.execute(
                "INSERT INTO epochs (epoch, file, state, built_at) VALUES (?, ?, 'built', ?)",
                params![epoch.cast_signed(), file, now.cast_signed()],
            )?;
            let mut mark = db.prepare_cached("UPDATE receipts SET epoch = ? WHERE task = ? AND epoch IS NULL")?;
            for task in tasks {
                if mark.execute(params![epoch.cast_signed(), task.0])? != 1 {
                    return Err(corrupt(format_args!("the receipt of {task} is in an epoch already")));
                }
            }
            Ok(())
        })
        .await
    }

    /// Records how far an epoch has come; a transaction that is known stays.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn mark_epoch(&self, row: EpochRow) -> Result<()> {
        self.write(move |db| {
            let hash = |tx: &Option<B256>| tx.map(|tx| tx.0.to_vec());
            db.execute(
                "UPDATE epochs SET state = ?, propose_tx = coalesce(?, propose_tx), finalize_tx = coalesce(?, finalize_tx)
                 WHERE epoch = ?",
                params![row.state.word(), hash(&row.propose_tx), hash(&row.finalize_tx), row.epoch.cast_signed()],
            )?;
            Ok(())
        })
        .await
    }
}

pub(super) fn newest_finalized(db: &Connection) -> Result<Option<EpochRow>> {
    epoch(
        db,
        "SELECT epoch, state, built_at, propose_tx, finalize_tx FROM epochs WHERE state = 'finalized' ORDER BY epoch DESC LIMIT 1",
    )
}

fn epoch(db: &Connection, query: &str) -> Result<Option<EpochRow>> {
    let hash = |row: &Row<'_>, column| row.get::<_, Option<[u8; 32]>>(column).map(|hash| hash.map(B256::from));
    let read = |row: &Row<'_>| {
        let state: String = row.get(1)?;
        Ok((id(row, 0)?, state, id(row, 2)?, hash(row, 3)?, hash(row, 4)?))
    };
    let found = db.prepare_cached(query)?.query_row([], read).optional()?;
    let Some((epoch, state, built_at, propose_tx, finalize_tx)) = found else { return Ok(None) };
    Ok(Some(EpochRow { epoch, state: EpochState::parse(&state)?, built_at, propose_tx, finalize_tx }))
}
