//! Delivers finished results, oldest first, for as long as it takes.

use std::sync::Arc;
use std::time::Duration;

use surge_protocol::Digest;

use crate::blobs::BlobError;
use crate::clock::unix_now;
use crate::store::{StoreError, Waiting};
use crate::trouble::{Part, of_link};
use crate::work::{Work, backoff};

/// Delivers until the engine stops.
pub(crate) async fn deliver(work: Arc<Work>) {
    let mut failures = 0;
    loop {
        match deliver_all(&work).await {
            Ok(()) => {
                failures = 0;
                work.finished.notified().await;
            }
            Err(pause) => {
                failures += 1;
                tokio::select! {
                    () = tokio::time::sleep(pause.unwrap_or_else(|| backoff(failures))) => {}
                    () = work.finished.notified() => {}
                }
            }
        }
    }
}

/// Delivers all that waits. An error says when to try again, where it is known.
async fn deliver_all(work: &Work) -> Result<(), Option<Duration>> {
    let waiting = work.store.waiting().map_err(|error| stored(&error))?;
    for result in waiting {
        deliver_one(work, &result).await?;
    }
    Ok(())
}

async fn deliver_one(work: &Work, waiting: &Waiting) -> Result<(), Option<Duration>> {
    let lease = waiting.signed.result.lease;
    let output = match work.blobs.read(waiting.output) {
        Ok(output) => output,
        Err(error) => return give_up(work, lease, waiting.output, &lost(&error)),
    };
    let delivered = match work.link.put_blob(waiting.output, output).await {
        Ok(()) => work.link.result(&waiting.signed).await.map(|_| ()),
        Err(error) => Err(error),
    };
    match delivered {
        Ok(()) => {
            work.troubles.clear(Part::Line);
            work.store.delivered(lease).map_err(|error| stored(&error))?;
            forget(work, waiting.output)
        }
        Err(error) if error.final_for_content() => give_up(work, lease, waiting.output, &error.to_string()),
        Err(error) => {
            if work.troubles.set(Part::Line, of_link(&error, unix_now())) {
                tracing::warn!(%error, "Can't deliver a result; it is kept");
            }
            Err(None)
        }
    }
}

fn give_up(work: &Work, lease: Digest, output: Digest, reason: &str) -> Result<(), Option<Duration>> {
    tracing::warn!(%lease, reason, "A result will not be taken");
    work.store.refused(lease, reason).map_err(|error| stored(&error))?;
    forget(work, output)
}

/// Removes an output unless another result waits with the same bytes.
fn forget(work: &Work, output: Digest) -> Result<(), Option<Duration>> {
    if !work.store.output_waits(output).map_err(|error| stored(&error))? {
        work.blobs.remove(output);
    }
    Ok(())
}

fn lost(error: &BlobError) -> String {
    format!("output lost on this computer: {error}")
}

fn stored(error: &StoreError) -> Option<Duration> {
    tracing::warn!(%error, "The engine's database failed");
    Some(Duration::from_secs(10))
}
