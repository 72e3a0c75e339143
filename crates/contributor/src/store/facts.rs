//! What the owner wants, and where the day began.

use std::sync::PoisonError;

use rusqlite::OptionalExtension;
use surge_protocol::Amount;

use super::{NetworkStore, Store, StoreError};
use crate::wish::Wish;

impl Store {
    /// What the owner wants, [`Wish::Run`] before there was anything.
    ///
    /// # Errors
    /// The database's; `Content` when what it holds is no wish.
    pub(crate) fn wish(&self) -> Result<Wish, StoreError> {
        let Some(text) = self.fact("wish")? else { return Ok(Wish::Run) };
        serde_json::from_str(&text).map_err(|error| StoreError::Content(format!("wish = {text}: {error}")))
    }

    /// Remembers what the owner wants.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn set_wish(&self, wish: Wish) -> Result<(), StoreError> {
        let text = serde_json::to_string(&wish).map_err(|error| StoreError::Content(error.to_string()))?;
        self.set_fact("wish", &text)
    }

    pub(super) fn fact(&self, name: &str) -> Result<Option<String>, StoreError> {
        let db = self.db();
        let value = db.query_row("SELECT value FROM facts WHERE name = ?", [name], |row| row.get(0)).optional()?;
        Ok(value)
    }

    fn set_fact(&self, name: &str, value: &str) -> Result<(), StoreError> {
        self.db().execute("INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)", [name, value])?;
        Ok(())
    }
}

impl NetworkStore {
    /// What was credited on `day` (any name of a day) as of now, when `credited` is all that this network ever credited.
    /// The first call of a day fixes where the day began.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn credited_today(&self, day: &str, credited: Amount) -> Result<Amount, StoreError> {
        let fact = format!("day {}", self.id);
        let mut known = self.day.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, start)) = known.as_ref().filter(|(known, _)| known == day) {
            return Ok(credited.checked_sub(*start).unwrap_or_default());
        }
        let kept = self.home.fact(&fact)?.and_then(|kept| {
            let (known, base) = kept.split_once(' ')?;
            (known == day).then(|| base.parse().ok().map(Amount))?
        });
        let start = match kept {
            Some(start) => start,
            None => {
                // Known from here on, also where it can't be stored: it is not tried again every second.
                *known = Some((day.to_owned(), credited));
                self.home.set_fact(&fact, &format!("{day} {}", credited.0))?;
                credited
            }
        };
        *known = Some((day.to_owned(), start));
        Ok(credited.checked_sub(start).unwrap_or_default())
    }
}
