//! Registration: which payout a node works for, by the signatures of both.
//!
//! Deliberately absent: a waiting time for changed payouts, devices of one owner.

use surge_protocol::Address;
use surge_protocol::api::Registration;
use surge_protocol::sign::PayoutBinding;

use crate::coordinator::Coordinator;
use crate::error::{Code, Error, Result};
use crate::session::wrong_signature;
use crate::store::Binding;

impl Coordinator {
    /// Binds `node` to the payout that signed for it. Repeating it changes nothing.
    ///
    /// # Errors
    /// `wrong_signature`, `stale_signature` for a time in the future, `stale_binding` when a newer one is known.
    pub async fn register(&self, node: Address, registration: Registration) -> Result<()> {
        let payout = registration.payout;
        let message = PayoutBinding { node, payout, issuedAt: registration.issued_at };
        registration.signature.verify(&message, &self.domain, payout).map_err(|error| wrong_signature(&error))?;
        registration.device_signature.verify(&message, &self.domain, node).map_err(|error| wrong_signature(&error))?;
        // A binding may be old, since the payout's key need not be at hand at every start; it may not be from the future.
        if registration.issued_at.saturating_mul(1_000) > self.now() {
            self.fresh(registration.issued_at)?;
        }
        if registration.engine.len() > 100 {
            return Err(Error::new(Code::BadRequest, "the engine's name has more than 100 bytes"));
        }
        self.store.bind(Binding { node, registration }).await?;
        self.board().bind(node, payout);
        tracing::debug!(%node, %payout, "Node registered");
        Ok(())
    }
}
