//! Bearer tokens: who is calling. A token says whose it is and until when, sealed with a key that only this coordinator has.
//!
//! So sessions are kept nowhere: free keys can open as many as they like without taking anybody's room, a restart ends
//! none, and every process with the coordinator's key knows them. Deliberately absent: rights. What a caller may do follows
//! from what its key signed.

use surge_protocol::Address;
use surge_protocol::api::{OpenSession, SessionToken};
use surge_protocol::sign::{Key, Session, SignatureError};
use zeroize::Zeroizing;

use crate::clock::Millis;
use crate::coordinator::Coordinator;
use crate::error::{Code, Error, Result};

/// Bytes of what a token says, and of its seal.
const CLAIM: usize = 20 + 8;
const SEAL: usize = 32;

/// Makes tokens, and tells its own from others.
pub struct Sessions(Zeroizing<[u8; 32]>);

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sessions")
    }
}

impl Sessions {
    #[must_use]
    pub fn new(coordinator: &Key) -> Self {
        let secret = Zeroizing::new(coordinator.to_bytes());
        Self(Zeroizing::new(blake3::derive_key("surge 2026-11 coordinator sessions v1", &*secret)))
    }

    /// A token of `who`, good until `until`.
    #[must_use]
    pub fn token(&self, who: Address, until: Millis) -> String {
        let mut token = Vec::with_capacity(CLAIM + SEAL);
        token.extend_from_slice(who.as_slice());
        token.extend_from_slice(&until.to_be_bytes());
        let seal = self.seal(&token);
        token.extend_from_slice(seal.as_bytes());
        hex::encode(token)
    }

    /// Whose token it is, if it is good now.
    #[must_use]
    pub fn who(&self, token: &str, now: Millis) -> Option<Address> {
        let mut bytes = [0; CLAIM + SEAL];
        hex::decode_to_slice(token, &mut bytes).ok()?;
        let (claim, seal) = bytes.split_at(CLAIM);
        // This comparison takes the same time wherever they differ.
        if self.seal(claim) != *<&[u8; SEAL]>::try_from(seal).ok()? {
            return None;
        }
        let (who, until) = claim.split_at(20);
        let until = Millis::from_be_bytes(until.try_into().ok()?);
        (now < until).then(|| Address::from_slice(who))
    }

    fn seal(&self, claim: &[u8]) -> blake3::Hash {
        blake3::keyed_hash(&self.0, claim)
    }
}

impl Coordinator {
    /// Opens a session for the key that signed.
    ///
    /// # Errors
    /// `stale_signature`, `wrong_signature`.
    pub fn open_session(&self, open: &OpenSession) -> Result<SessionToken> {
        self.fresh(open.issued_at)?;
        let message = Session { who: open.who, issuedAt: open.issued_at };
        open.signature.verify(&message, &self.domain, open.who).map_err(|error| wrong_signature(&error))?;
        let token = self.sessions.token(open.who, self.now().saturating_add(self.rules.session));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions(n: u8) -> Sessions {
        Sessions::new(&Key::from_bytes(&[n; 32]).unwrap())
    }

    #[test]
    fn a_token_is_known_again_by_its_coordinator_until_it_is_over() {
        let who = Address::repeat_byte(7);
        let token = sessions(1).token(who, 1_000);
        assert_eq!(sessions(1).who(&token, 999), Some(who), "also by another process with the key");
        assert_eq!(sessions(1).who(&token, 1_000), None);
        assert_eq!(sessions(2).who(&token, 0), None);
    }

    #[test]
    fn no_other_text_is_a_token() {
        let sessions = sessions(1);
        let token = sessions.token(Address::repeat_byte(7), 1_000);
        let bytes = hex::decode(&token).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert_eq!(sessions.who(&hex::encode(changed), 0), None, "byte {at}");
        }
        for wrong in ["", "00", &token[2..], &format!("{token}00"), &token.replace('0', "é")] {
            assert_eq!(sessions.who(wrong, 0), None, "{wrong:?}");
        }
    }
}
