//! What the owner wants, and where the day began.

use std::sync::PoisonError;

use rusqlite::OptionalExtension;
use surge_protocol::Amount;

use super::{Store, StoreError};
use crate::gate::Intent;

impl Store {
    /// The owner's intent, [`Intent::Run`] before there was one.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn intent(&self) -> Result<Intent, StoreError> {
        Ok(match self.fact("paused")?.as_deref() {
            None | Some("") => Intent::Run,
            Some("forever") => Intent::Paused { until: None },
            Some("finish") => Intent::Finish,
            Some(until) => Intent::Paused {
                until: Some(until.parse().map_err(|_| StoreError::Content(format!("paused = {until}")))?),
            },
        })
    }

    /// Remembers the owner's intent.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn set_intent(&self, intent: Intent) -> Result<(), StoreError> {
        let value = match intent {
            Intent::Run => String::new(),
            Intent::Finish => "finish".into(),
            Intent::Paused { until: None } => "forever".into(),
            Intent::Paused { until: Some(until) } => until.to_string(),
        };
        self.set_fact("paused", &value)
    }

    /// What was credited on `day` (any name of a day) as of now, when `credited` is all that was ever credited.
    /// The first call of a day fixes where the day began.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn credited_today(&self, day: &str, credited: Amount) -> Result<Amount, StoreError> {
        let mut known = self.day.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, start)) = known.as_ref().filter(|(known, _)| known == day) {
            return Ok(credited.checked_sub(*start).unwrap_or_default());
        }
        let kept = self.fact("day")?.and_then(|fact| {
            let (known, base) = fact.split_once(' ')?;
            (known == day).then(|| base.parse().ok().map(Amount))?
        });
        let start = match kept {
            Some(start) => start,
            None => {
                // Known from here on, also where it can't be stored: it is not tried again every second.
                *known = Some((day.to_owned(), credited));
                self.set_fact("day", &format!("{day} {}", credited.0))?;
                credited
            }
        };
        *known = Some((day.to_owned(), start));
        Ok(credited.checked_sub(start).unwrap_or_default())
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
