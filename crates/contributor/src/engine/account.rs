//! The ledger's view of the payout account, for showing.

use std::sync::Arc;
use std::time::Duration;

use surge_protocol::Address;
use tokio::sync::watch;

use super::attachment::Known;
use crate::blocking::blocking;
use crate::gate::Decision;
use crate::work::Work;

/// How often it is read while there is work, and while there is none.
const ACCOUNT_EVERY: Duration = Duration::from_secs(5);
const ACCOUNT_EVERY_HELD: Duration = Duration::from_secs(120);

/// Reads it until the engine stops.
pub(super) async fn watch(work: Arc<Work>, payout: Address, known: watch::Sender<Option<Known>>) {
    loop {
        match work.link.account(payout).await {
            Ok(account) => {
                let (asker, credited) = (Arc::clone(&work), account.credited);
                let day = jiff::Zoned::now().date().to_string();
                let today = blocking(move || asker.store.credited_today(&day, credited)).await;
                known.send_replace(Some(Known { account, today: today.unwrap_or_default() }));
            }
            Err(error) => tracing::debug!(%error, "Can't read the payout account"),
        }
        let every = match *work.gate.borrow() {
            Decision::Run(_) => ACCOUNT_EVERY,
            Decision::Hold(_) => ACCOUNT_EVERY_HELD,
        };
        let mut gate = work.gate.subscribe();
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            _ = gate.changed() => tokio::time::sleep(ACCOUNT_EVERY).await,
        }
    }
}
