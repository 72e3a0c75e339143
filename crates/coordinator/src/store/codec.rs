//! How the protocol's values look in a row.

use rusqlite::Row;
use rusqlite::types::Type;
use serde::de::DeserializeOwned;
use surge_protocol::{Address, Amount, Digest};

type Cell<T> = rusqlite::Result<T>;

pub(super) fn digest(row: &Row<'_>, column: usize) -> Cell<Digest> {
    row.get(column).map(Digest)
}

pub(super) fn address(row: &Row<'_>, column: usize) -> Cell<Address> {
    row.get::<_, [u8; 20]>(column).map(Address::from)
}

pub(super) fn id(row: &Row<'_>, column: usize) -> Cell<u64> {
    row.get::<_, i64>(column).map(i64::cast_unsigned)
}

pub(super) fn amount(row: &Row<'_>, column: usize) -> Cell<Amount> {
    number(row, column).map(Amount)
}

/// An integer that is kept as text.
pub(super) fn number<T>(row: &Row<'_>, column: usize) -> Cell<T>
where
    T: std::str::FromStr<Err = std::num::ParseIntError>,
{
    let text: String = row.get(column)?;
    text.parse().map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error)))
}

pub(super) fn json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> Cell<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error)))
}
