//! The ledger's tables: appends entries and moves balances in the caller's transaction.

use rusqlite::{Connection, OptionalExtension, params};
use surge_protocol::Amount;

use super::codec::number;
use super::corrupt;
use crate::error::Result;
use crate::ledger::{Account, LedgerError, Transaction};

/// Books `transaction`. Its kind may happen to its reference once: a second time fails and changes nothing.
pub(super) fn post(db: &Connection, transaction: &Transaction) -> Result<()> {
    let reference = transaction.reference();
    db.prepare_cached("INSERT INTO transactions (kind, reference) VALUES (?, ?)")?
        .execute(params![transaction.kind().name(), reference.as_ref().map(<[u8; 32]>::as_slice)])?;
    let tx = db.last_insert_rowid();
    for (account, amount) in transaction.entries() {
        let balance = balance(db, *account)?.checked_add(*amount).ok_or(LedgerError::Overflow).map_err(corrupt)?;
        if balance < 0 && matches!(account, Account::Reserved(_) | Account::Credit(_)) {
            return Err(corrupt(format_args!("{account} would fall to {balance}")));
        }
        db.prepare_cached("INSERT INTO entries VALUES (?, ?, ?)")?.execute(params![
            tx,
            account.to_string(),
            amount.to_string()
        ])?;
        db.prepare_cached("INSERT INTO balances VALUES (?1, ?2) ON CONFLICT (account) DO UPDATE SET balance = ?2")?
            .execute(params![account.to_string(), balance.to_string()])?;
    }
    Ok(())
}

pub(super) fn balance(db: &Connection, account: Account) -> Result<i128> {
    let balance = db
        .prepare_cached("SELECT balance FROM balances WHERE account = ?")?
        .query_row([account.to_string()], |row| number(row, 0))
        .optional()?;
    Ok(balance.unwrap_or(0))
}

/// A balance that cannot be negative.
pub(super) fn amount(db: &Connection, account: Account) -> Result<Amount> {
    let balance = balance(db, account)?;
    u128::try_from(balance).map(Amount).map_err(|_| corrupt(format_args!("{account} is {balance}")))
}

/// Makes `Deposited` follow what the chain says.
pub(super) fn follow_deposit(db: &Connection, requester: surge_protocol::Address, on_chain: Amount) -> Result<()> {
    let known = -balance(db, Account::Deposited(requester))?;
    let on_chain = crate::ledger::signed(on_chain).map_err(corrupt)?;
    if on_chain == known {
        return Ok(());
    }
    post(db, &crate::ledger::deposit(requester, on_chain - known).map_err(corrupt)?)
}
