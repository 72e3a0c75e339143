//! The ledger's view of the payout account, for showing.

use std::sync::Arc;
use std::time::Duration;

use surge_protocol::Address;
use surge_protocol::api::Account;
use tokio::sync::watch;

use crate::gate::Decision;
use crate::work::Work;

/// How often it is read while there is work, and while there is none.
const ACCOUNT_EVERY: Duration = Duration::from_secs(5);
const ACCOUNT_EVERY_HELD: Duration = Duration::from_secs(120);

/// Reads it until the engine stops.
pub(super) async fn watch(work: Arc<Work>, payout: Address, account: watch::Sender<Option<Account>>) {
    loop {
        match work.link.account(payout).await {
            Ok(known) => {
                account.send_replace(Some(known));
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
