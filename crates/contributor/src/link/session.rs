//! The session: opened by a signature of the device's key, at the time that the coordinator's clock shows.

use reqwest::{RequestBuilder, Response};
use surge_protocol::api::{OpenSession, Registration, SessionToken};
use surge_protocol::sign::Session;

use super::{CALL_TIMEOUT, Introduction, Link, LinkError};

impl Link {
    /// Sends a request with the session's token; opens a session when there is none or it ended.
    pub(super) async fn authorized(&self, request: impl Fn() -> RequestBuilder) -> Result<Response, LinkError> {
        let mut token = self.token.lock().await;
        if token.is_none() {
            *token = Some(self.open_session().await?);
        }
        let bearer = token.clone().unwrap_or_default();
        drop(token);
        match self.send(request().bearer_auth(&bearer)).await {
            Err(error) if error.has_code("session_unknown") => {
                let fresh = self.open_session().await?;
                *self.token.lock().await = Some(fresh.clone());
                self.send(request().bearer_auth(fresh)).await
            }
            reply => reply,
        }
    }

    /// Opens a session. The answer to a signature whose time is wrong tells the right time.
    async fn open_session(&self) -> Result<String, LinkError> {
        match self.try_session().await {
            Err(error) if error.has_code("stale_signature") => self.try_session().await,
            opened => opened,
        }
    }

    async fn try_session(&self) -> Result<String, LinkError> {
        let who = self.device.address();
        let issued_at = self.their_now();
        let signature = self.device.sign(&Session { who, issuedAt: issued_at }, &self.network.domain());
        let open = OpenSession { who, issued_at, signature };
        let request = self.http.post(self.url("/v1/sessions")).timeout(CALL_TIMEOUT).json(&open);
        let session: SessionToken = self.read(self.send(request).await?).await?;
        self.register(&session.token).await?;
        Ok(session.token)
    }

    async fn register(&self, token: &str) -> Result<(), LinkError> {
        let Introduction { payout, cores, memory_bytes, engine } = self.introduction.clone();
        let registration = Registration {
            payout: payout.payout,
            issued_at: payout.issued_at,
            signature: payout.signature,
            cores,
            memory_bytes,
            engine,
        };
        let request =
            self.http.post(self.url("/v1/nodes")).timeout(CALL_TIMEOUT).bearer_auth(token).json(&registration);
        self.send(request).await?;
        Ok(())
    }

    /// Unix seconds by the coordinator's clock, as far as it is known.
    fn their_now(&self) -> u64 {
        crate::clock::unix_now().saturating_add_signed(self.clock_offset())
    }
}
