//! `surge earnings`: what the network's ledger says of this device's payout account, receipt by receipt.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Result;
use serde::Serialize;
use surge_contributor::{device_key, read_network, read_payout};
use surge_platform::paths::Paths;
use surge_protocol::epoch::SignedReceipt;
use surge_protocol::{Address, Amount};

use crate::coordinator::Coordinator;
use crate::say::{json_line, line};

/// The payout account's money and work, base units.
#[derive(Debug, Serialize)]
struct Earnings {
    payout: Address,
    awaiting: Amount,
    credited: Amount,
    settled: Amount,
    tasks_accepted: u64,
    tasks_rejected: u64,
    /// Net of accepted work by job, as the receipts add up.
    jobs: BTreeMap<String, Amount>,
}

pub(crate) async fn earnings(paths: &Paths, json: bool) -> Result<ExitCode> {
    let network = read_network(&paths.network())?;
    let device = device_key(&paths.device_key())?.address();
    let payout = read_payout(&paths.payout(), &network, device)?.payout;
    let coordinator = Coordinator::of(paths, &network)?;
    let account = coordinator.account(payout).await?;
    let receipts = coordinator.receipts(payout).await?;
    let earnings = Earnings {
        payout,
        awaiting: account.awaiting_amount,
        credited: account.credited,
        settled: account.settled.map_or(Amount::ZERO, |settled| settled.cumulative),
        tasks_accepted: account.accepted,
        tasks_rejected: account.rejected,
        jobs: by_job(&receipts, payout),
    };
    if json {
        return json_line(&earnings);
    }
    line(&format!("Awaiting a verdict   {}", earnings.awaiting))?;
    line(&format!("Earned in all        {}", earnings.credited))?;
    line(&format!("Settled on chain     {}", earnings.settled))?;
    line(&format!("Tasks                {} accepted, {} rejected", earnings.tasks_accepted, earnings.tasks_rejected))?;
    for (job, net) in &earnings.jobs {
        line(&format!("  {net} from job {job}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn by_job(receipts: &[SignedReceipt], payout: Address) -> BTreeMap<String, Amount> {
    let mut jobs = BTreeMap::new();
    for signed in receipts {
        for share in signed.receipt.shares.iter().filter(|share| share.accepted && share.payout == payout) {
            let net: &mut Amount = jobs.entry(signed.receipt.job.to_string()).or_default();
            *net = net.checked_add(share.net).unwrap_or(*net);
        }
    }
    jobs
}
