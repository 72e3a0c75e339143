//! The session: opened by a signature of the device's key, at the time that the coordinator's clock shows.

use reqwest::{RequestBuilder, Response};
use surge_protocol::api::{OpenSession, Registration, SessionToken};
use surge_protocol::sign::{PayoutBinding, Session};

use super::{CALL_TIMEOUT, Introduction, Link, LinkError, url};

impl Link {
    /// Sends a request to the coordinator at `base` with the session's token; opens a session when there is none there, or
    /// it ended.
    pub(super) async fn authorized(
        &self,
        base: &str,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Response, LinkError> {
        let mut session = self.token.lock().await;
        let token = match session.as_ref().filter(|(opened_by, _)| opened_by == base) {
            Some((_, token)) => token.clone(),
            None => {
                let token = self.open_session(base).await?;
                *session = Some((base.to_owned(), token.clone()));
                token
            }
        };
        drop(session);
        match self.send(base, request().bearer_auth(&token)).await {
            Err(error) if error.has_code("session_unknown") => {
                let fresh = self.open_session(base).await?;
                *self.token.lock().await = Some((base.to_owned(), fresh.clone()));
                self.send(base, request().bearer_auth(fresh)).await
            }
            reply => reply,
        }
    }

    /// Opens a session. The answer to a signature whose time is wrong tells the right time.
    async fn open_session(&self, base: &str) -> Result<String, LinkError> {
        match self.try_session(base).await {
            Err(error) if error.has_code("stale_signature") => self.try_session(base).await,
            opened => opened,
        }
    }

    async fn try_session(&self, base: &str) -> Result<String, LinkError> {
        let who = self.device.address();
        let issued_at = self.their_now();
        let signature = self.device.sign(&Session { who, issuedAt: issued_at }, &self.network.domain());
        let open = OpenSession { who, issued_at, signature };
        let request = self.http.post(url(base, "/v1/sessions")).timeout(CALL_TIMEOUT).json(&open);
        let session: SessionToken = self.read(base, self.send(base, request).await?).await?;
        self.register(base, &session.token).await?;
        Ok(session.token)
    }

    async fn register(&self, base: &str, token: &str) -> Result<(), LinkError> {
        let Introduction { payout, cores, memory_bytes, engine } = self.introduction.clone();
        let binding = PayoutBinding { node: self.device.address(), payout: payout.payout, issuedAt: payout.issued_at };
        let registration = Registration {
            payout: payout.payout,
            issued_at: payout.issued_at,
            signature: payout.signature,
            device_signature: self.device.sign(&binding, &self.network.domain()),
            cores,
            memory_bytes,
            engine,
        };
        let request =
            self.http.post(url(base, "/v1/nodes")).timeout(CALL_TIMEOUT).bearer_auth(token).json(&registration);
        self.send(base, request).await?;
        Ok(())
    }

    /// Unix seconds by the coordinator's clock, as far as it is known.
    fn their_now(&self) -> u64 {
        crate::clock::unix_now().saturating_add_signed(self.clock_offset())
    }
}
