//! One request and its answer: what every call has in common. Each answer also tells the coordinator's clock.

use std::sync::atomic::Ordering;
use std::time::Duration;

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use reqwest::{RequestBuilder, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{answer_of, seconds};
use super::{Link, LinkError, url};
use crate::http::{Silence, silence, silence_of_status};

/// Clocks that differ by more than this are worth a word, seconds.
const WRONG_CLOCK: i64 = 120;
/// The longest answer: a lease with all its arguments takes a tenth of it.
const MOST_JSON: usize = 4 << 20;
/// The longest delay that a coordinator may ask for.
const LONGEST_DELAY: Duration = Duration::from_secs(600);

impl Link {
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        patience: Duration,
    ) -> Result<T, LinkError> {
        let base = self.base();
        let reply = self.authorized(base, || self.http.post(url(base, path)).timeout(patience).json(body)).await?;
        self.read(base, reply).await
    }

    pub(super) async fn send(&self, base: &str, request: RequestBuilder) -> Result<Response, LinkError> {
        let reply = request.send().await.map_err(|error| self.unreachable(base, &error))?;
        self.compare_clocks(reply.headers());
        let status = reply.status();
        if status.is_success() {
            return Ok(reply);
        }
        if let Some(silence) = silence_of_status(base, status) {
            return Err(LinkError::Unreachable(silence));
        }
        let retry_after = seconds(reply.headers().get(RETRY_AFTER)).map(|after| after.min(LONGEST_DELAY));
        let words = self.read(base, reply).await.ok();
        Err(answer_of(status, words, retry_after))
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

    /// The JSON of an answer, which may have [`MOST_JSON`] bytes.
    pub(super) async fn read<T: DeserializeOwned>(&self, base: &str, mut reply: Response) -> Result<T, LinkError> {
        let mut body = Vec::new();
        while let Some(piece) = reply.chunk().await.map_err(|error| self.unreachable(base, &error))? {
            if body.len() + piece.len() > MOST_JSON {
                return Err(not_a_coordinator(base, &format!("it sends more than {MOST_JSON} bytes")));
            }
            body.extend_from_slice(&piece);
        }
        serde_json::from_slice(&body).map_err(|error| not_a_coordinator(base, &error.to_string()))
    }

    /// Nobody answered: another coordinator of this network may.
    pub(super) fn unreachable(&self, base: &str, error: &reqwest::Error) -> LinkError {
        self.turn_from(base);
        let silence = silence(base, error);
        if error.is_connect() { LinkError::Unreachable(silence) } else { LinkError::Unanswered(silence) }
    }
}

fn not_a_coordinator(base: &str, why: &str) -> LinkError {
    let message = format!("{base} answers, but not as a coordinator of this version does ({why})");
    LinkError::Unanswered(Silence { code: "coordinator_unreachable", message })
}
