//! Delivers one finished result: its output, then the result. It tries once; the plan says when to try again.

use std::sync::Arc;

use surge_protocol::api::LeaseId;

use super::Work;
use super::driver::Message;
use crate::blobs::BlobError;
use crate::blocking::blocking;
use crate::clock::unix_now;
use crate::link::LinkError;
use crate::plan::{Input, Millis};
use crate::store::{StoreError, Waiting};
use crate::trouble::{Part, cache_unusable, of_link};

/// When to come back where the store fails, milliseconds.
const STORE_PATIENCE: Millis = 10_000;

pub(super) async fn deliver(work: Arc<Work>, lease: LeaseId) -> Message {
    Message::Input(match try_deliver(&work, lease).await {
        Ok(()) => Input::Delivered(lease),
        Err(after) => Input::DeliveryFailed(lease, after),
    })
}

/// # Errors
/// When to try again, if that is known.
async fn try_deliver(work: &Arc<Work>, lease: LeaseId) -> Result<(), Option<Millis>> {
    // What is not there, or not any more, is done.
    let Some((waiting, output)) = read(work, lease).await? else { return Ok(()) };
    match send(work, &waiting, output).await {
        Ok(()) => {
            tracing::info!(%lease, "Result delivered");
            work.troubles.clear(Part::Line);
            close(work, waiting, None).await
        }
        Err(error) if error.final_for_content() => {
            let reason = error.to_string();
            tracing::warn!(%lease, reason, "A result will not be taken");
            close(work, waiting, Some(reason)).await
        }
        Err(error) => {
            if work.troubles.set(Part::Line, of_link(&error, unix_now())) {
                tracing::warn!(%error, "Can't deliver a result; it is kept");
            }
            Err(error.retry_after().map(super::io_tasks::millis))
        }
    }
}

type Output = Result<Vec<u8>, BlobError>;

async fn read(work: &Arc<Work>, lease: LeaseId) -> Result<Option<(Waiting, Output)>, Option<Millis>> {
    let store = Arc::clone(work);
    let read = move || {
        let waiting = store.store.waiting_for(lease)?;
        Ok(waiting.map(|waiting| {
            let output = store.outputs.read(waiting.output);
            (waiting, output)
        }))
    };
    let read = blocking(read).await.map_err(|error| failed(&error))?;
    match &read {
        // It is there, and can't be read now: without it the coordinator would refuse the result for good.
        Some((_, Err(error))) if !error.is_lost() => {
            if work.troubles.set(Part::Store, cache_unusable(error)) {
                tracing::warn!(%error, "The output of a finished result can't be read");
            }
            Err(Some(STORE_PATIENCE))
        }
        _ => Ok(read),
    }
}

async fn send(work: &Work, waiting: &Waiting, output: Output) -> Result<(), LinkError> {
    // An output that is lost may have been delivered before it was: the coordinator knows.
    match output {
        Ok(output) => work.link.put_blob(waiting.output, output).await?,
        Err(error) => tracing::warn!(%error, "The output of a finished result is lost on this computer"),
    }
    work.link.deliver(waiting.signed.clone()).await
}

/// Notes that a result is delivered, or `refused` with a reason, and removes its output unless another result waits with the
/// same bytes, for whatever network.
async fn close(work: &Arc<Work>, waiting: Waiting, refused: Option<String>) -> Result<(), Option<Millis>> {
    let work = Arc::clone(work);
    let close = move || {
        let lease = waiting.signed.result.lease;
        match refused {
            None => work.store.delivered(lease)?,
            Some(reason) => work.store.refused(lease, &reason)?,
        }
        // Not between the output and the result of a task that ends just now.
        let _keeping = work.keeping();
        if !work.store.home().output_waits(waiting.output)? {
            work.outputs.remove(waiting.output);
        }
        Ok(())
    };
    blocking(close).await.map_err(|error| failed(&error))
}

fn failed(error: &StoreError) -> Option<Millis> {
    tracing::warn!(%error, "The engine's database failed");
    Some(STORE_PATIENCE)
}
