//! A network that the engine works for, and what it earns there.

use serde::{Deserialize, Serialize};
use surge_protocol::Amount;
use ts_rs::TS;

/// A network that the engine works for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(default)]
pub struct NetworkView {
    pub name: String,
    /// The account that rewards of this network go to, with its checksum; `null` while there is none.
    pub payout: Option<String>,
    pub earnings: Earnings,
    /// Finished results that wait for delivery to it.
    pub undelivered: u32,
}

/// Money in its states, base units, by the coordinator's ledger and the chain. What the engine does not know is zero.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(default)]
pub struct Earnings {
    /// Delivered, not yet judged.
    #[ts(type = "string")]
    pub awaiting: Amount,
    /// Credited, and not yet in a finalized epoch.
    #[ts(type = "string")]
    pub validated: Amount,
    /// All that finalized epochs credit to the payout account.
    #[ts(type = "string")]
    pub settled: Amount,
    /// Credited since local midnight, as this engine saw it.
    #[ts(type = "string")]
    pub today: Amount,
    #[ts(type = "number")]
    pub tasks_accepted: u64,
    #[ts(type = "number")]
    pub tasks_rejected: u64,
}

/// A network that is not attached now, and that finished results wait for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(default)]
pub struct UnattachedView {
    /// Its name when it was attached last; `null` where that is not known.
    pub name: Option<String>,
    /// Finished results that are delivered when it is attached again.
    pub undelivered: u32,
}
