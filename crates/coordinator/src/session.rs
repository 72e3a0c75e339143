//! Bearer tokens: who is calling. Tokens are kept as hashes only, in memory and in the store.
//!
//! Deliberately absent: rights. What a caller may do follows from what its key signed.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use surge_protocol::api::{OpenSession, SessionToken};
use surge_protocol::sign::{Session, SignatureError};
use surge_protocol::{Address, Digest};

use crate::clock::Millis;
use crate::coordinator::Coordinator;
use crate::error::{Code, Error, Result};

/// Sessions that one coordinator keeps.
const MOST: usize = 1_000_000;

/// The sessions that are open.
#[derive(Debug, Default)]
pub struct Sessions(RwLock<HashMap<Digest, (Address, Millis)>>);

impl Sessions {
    #[must_use]
    pub fn new(known: Vec<(Digest, Address, Millis)>) -> Self {
        Self(RwLock::new(known.into_iter().map(|(hash, who, until)| (hash, (who, until))).collect()))
    }

    fn insert(&self, hash: Digest, who: Address, until: Millis) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(hash, (who, until));
    }

    fn room(&self, now: Millis) -> bool {
        if self.0.read().unwrap_or_else(PoisonError::into_inner).len() < MOST {
            return true;
        }
        let mut open = self.0.write().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, (_, until)| now < *until);
        open.len() < MOST
    }

    /// Whose token it is.
    #[must_use]
    pub fn who(&self, token: &str, now: Millis) -> Option<Address> {
        let open = self.0.read().unwrap_or_else(PoisonError::into_inner);
        open.get(&hash(token)).filter(|(_, until)| now < *until).map(|(who, _)| *who)
    }
}

fn hash(token: &str) -> Digest {
    Digest::of(token.as_bytes())
}

impl Coordinator {
    /// Opens a session for the key that signed.
    ///
    /// # Errors
    /// `stale_signature`, `wrong_signature`, `busy`.
    pub async fn open_session(&self, open: OpenSession) -> Result<SessionToken> {
        let now = self.now();
        self.fresh(open.issued_at)?;
        let message = Session { who: open.who, issuedAt: open.issued_at };
        open.signature.verify(&message, &self.domain, open.who).map_err(|error| wrong_signature(&error))?;
        if !self.sessions.room(now) {
            return Err(Error::new(Code::Busy, "too many sessions are open: try again in a minute"));
        }
        let token = Digest(self.random()?).to_string();
        let until = now.saturating_add(self.rules.session);
        self.store.add_session(hash(&token), open.who, until).await?;
        self.sessions.insert(hash(&token), open.who, until);
        Ok(SessionToken { token, expires_in_seconds: self.rules.session / 1_000 })
    }

    /// Refuses a signature whose time is too far from now.
    pub(crate) fn fresh(&self, issued_at: u64) -> Result<()> {
        let (now, issued_at) = (self.now(), issued_at.saturating_mul(1_000));
        if now.abs_diff(issued_at) <= self.rules.clock_skew {
            return Ok(());
        }
        let message = format!(
            "the signature's time is {} s away from the coordinator's clock, {} s are allowed: check this machine's clock",
            now.abs_diff(issued_at) / 1_000,
            self.rules.clock_skew / 1_000
        );
        Err(Error::new(Code::StaleSignature, message))
    }
}

pub(crate) fn wrong_signature(error: &SignatureError) -> Error {
    Error::new(Code::WrongSignature, format!("{error}: sign with the right key, for this network's chain and contract"))
}
