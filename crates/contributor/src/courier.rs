//! Delivers one finished result: its output, then the result, as often as it takes.

use std::sync::Arc;

use surge_protocol::api::LeaseId;

use crate::clock::unix_now;
use crate::link::LinkError;
use crate::plan::{Event, Millis};
use crate::store::{StoreError, Waiting};
use crate::trouble::{Part, of_link};
use crate::work::{News, Work};

/// When to come back where the store fails, milliseconds.
const STORE_PATIENCE: Millis = 10_000;

/// Delivers the result of `lease`, or says when to try again.
pub(crate) async fn deliver(work: Arc<Work>, lease: LeaseId) -> News {
    News::Event(match try_deliver(&work, lease).await {
        Ok(()) => Event::Delivered(lease),
        Err(after) => Event::DeliveryFailed(lease, after),
    })
}

async fn try_deliver(work: &Work, lease: LeaseId) -> Result<(), Option<Millis>> {
    // What is not there, or not any more, is done.
    let Some(waiting) = work.store.waiting_for(lease).map_err(|error| stored(&error))? else { return Ok(()) };
    match send(work, &waiting).await {
        Ok(()) => {
            tracing::info!(%lease, "Result delivered");
            work.troubles.clear(Part::Line);
            work.store.delivered(lease).map_err(|error| stored(&error))?;
        }
        Err(error) if error.final_for_content() => {
            let reason = error.to_string();
            tracing::warn!(%lease, reason, "A result will not be taken");
            work.store.refused(lease, &reason).map_err(|error| stored(&error))?;
        }
        Err(error) => {
            if work.troubles.set(Part::Line, of_link(&error, unix_now())) {
                tracing::warn!(%error, "Can't deliver a result; it is kept");
            }
            return Err(error.retry_after().map(|after| Millis::try_from(after.as_millis()).unwrap_or(Millis::MAX)));
        }
    }
    forget(work, &waiting)
}

async fn send(work: &Work, waiting: &Waiting) -> Result<(), LinkError> {
    // An output that is lost may have been delivered before it was: the coordinator knows.
    match work.outputs.read(waiting.output) {
        Ok(output) => work.link.put_blob(waiting.output, output).await?,
        Err(error) => tracing::warn!(%error, "The output of a finished result is lost on this computer"),
    }
    work.link.result(&waiting.signed).await.map(|_| ())
}

/// Removes an output unless another result waits with the same bytes.
fn forget(work: &Work, waiting: &Waiting) -> Result<(), Option<Millis>> {
    // Not between the output and the result of a task that ends just now.
    let _keeping = work.keeping();
    if !work.store.output_waits(waiting.output).map_err(|error| stored(&error))? {
        work.outputs.remove(waiting.output);
    }
    Ok(())
}

fn stored(error: &StoreError) -> Option<Millis> {
    tracing::warn!(%error, "The engine's database failed");
    Some(STORE_PATIENCE)
}
