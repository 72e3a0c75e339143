//! One request and its answer: what every call has in common. Each answer also tells the coordinator's clock.

use std::sync::atomic::Ordering;
use std::time::Duration;

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use reqwest::{RequestBuilder, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{answer_of, seconds};
use super::{Link, LinkError};
use crate::http::{silence, silence_of_status};

/// Clocks that differ by more than this are worth a word, seconds.
const WRONG_CLOCK: i64 = 120;
/// The longest delay that a coordinator may ask for.
const LONGEST_DELAY: Duration = Duration::from_secs(600);

impl Link {
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        patience: Duration,
    ) -> Result<T, LinkError> {
        let reply = self.authorized(|| self.http.post(self.url(path)).timeout(patience).json(body)).await?;
        self.read(reply).await
    }

    pub(super) async fn send(&self, request: RequestBuilder) -> Result<Response, LinkError> {
        let reply = request.send().await.map_err(|error| self.unreachable(&error))?;
        self.compare_clocks(reply.headers());
        let status = reply.status();
        if status.is_success() {
            return Ok(reply);
        }
        if let Some(silence) = silence_of_status(&self.base, status) {
            return Err(LinkError::Unreachable(silence));
        }
        let retry_after = seconds(reply.headers().get(RETRY_AFTER)).map(|after| after.min(LONGEST_DELAY));
        Err(answer_of(status, reply.json().await.ok(), retry_after))
    }

    /// Learns the coordinator's clock from its answer. Both clocks tick in seconds, and the answer took its time.
    fn compare_clocks(&self, headers: &HeaderMap) {
        let date = headers.get(DATE).and_then(|date| date.to_str().ok());
        let Some(theirs) = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok()) else { return };
        let ours = i64::try_from(crate::clock::unix_now()).unwrap_or(i64::MAX);
        let offset = theirs.timestamp().as_second().saturating_sub(ours);
        let known = self.clock_offset.swap(offset, Ordering::Relaxed);
        if offset.abs() > WRONG_CLOCK && known.abs() <= WRONG_CLOCK {
            tracing::warn!(
                seconds = -offset,
                "This computer's clock differs from the network's: the network's is used"
            );
        }
    }

    pub(super) async fn read<T: DeserializeOwned>(&self, reply: Response) -> Result<T, LinkError> {
        reply.json().await.map_err(|error| self.unreachable(&error))
    }

    pub(super) fn unreachable(&self, error: &reqwest::Error) -> LinkError {
        LinkError::Unreachable(silence(&self.base, error))
    }
}
