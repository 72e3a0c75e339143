//! Where the money is: with the coordinator, in the contract, in the wallet, gone to its owner.

use serde::Serialize;
use surge_protocol::Amount;
use surge_protocol::api::{Account, Settled};
use surge_protocol::merkle::{self, Side};

use crate::payment::{Kind, State};

use super::{Money, MoneyError};

/// Money in its states, base units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Balance {
    /// Delivered work that is not judged yet.
    pub earned: Amount,
    /// Judged and credited, not yet in a finalized epoch.
    pub validated: Amount,
    /// In a finalized epoch, proven against the chain, not yet claimed.
    pub claimable: Amount,
    /// Tokens of the wallet's account, by the chain.
    pub in_wallet: Amount,
    /// Withdrawn with this wallet folder, by its journal.
    pub withdrawn: Amount,
    /// Wei of the wallet's account, by the chain: what pays for gas.
    pub eth: Amount,
    /// Why nothing is claimable although the coordinator says that something is settled.
    pub problem: Option<String>,
}

impl Money {
    /// The balance, from what the coordinator says of this account and from the chain.
    ///
    /// # Errors
    /// `Chain` or `Journal`. A proof that does not hold is no error here, but [`Balance::problem`].
    pub async fn balance(&self, account: &Account) -> Result<Balance, MoneyError> {
        let settled = account.settled.as_ref().map_or(Amount::ZERO, |settled| settled.cumulative);
        let (claimable, problem) = match &account.settled {
            None => (Amount::ZERO, None),
            Some(settled) => match self.claimable(settled).await {
                Ok(amount) => (amount, None),
                Err(error @ (MoneyError::EpochNotFinal(_) | MoneyError::ProofRefused(_))) => {
                    (Amount::ZERO, Some(error.to_string()))
                }
                Err(error) => return Err(error),
            },
        };
        let address = self.wallet.address();
        Ok(Balance {
            earned: account.awaiting_amount,
            validated: account.credited.checked_sub(settled).unwrap_or_default(),
            claimable,
            in_wallet: self.chain.token_balance(address).await?,
            withdrawn: self.withdrawn()?,
            eth: Amount(self.chain.eth_balance(address).await?.saturating_to()),
            problem,
        })
    }

    /// What a claim with `settled` would pay now. The proof is checked against the root on the chain.
    ///
    /// # Errors
    /// `EpochNotFinal`, `ProofRefused` or `Chain`.
    pub async fn claimable(&self, settled: &Settled) -> Result<Amount, MoneyError> {
        let account = self.wallet.address();
        let epoch = self.chain.epoch(settled.epoch).await?.filter(|epoch| epoch.finalized_at.is_some());
        let epoch = epoch.ok_or(MoneyError::EpochNotFinal(settled.epoch))?;
        let chain_id = self.chain.chain_id();
        let leaf = merkle::leaf(chain_id, self.network.settlement, Side::Credit, account, settled.cumulative);
        if !merkle::verify(epoch.credit_root, leaf, &settled.proof) {
            return Err(MoneyError::ProofRefused(settled.epoch));
        }
        let claimed = self.chain.claimed(account).await?;
        Ok(settled.cumulative.checked_sub(claimed).unwrap_or_default())
    }

    fn withdrawn(&self) -> Result<Amount, MoneyError> {
        let payments = self.journal.payments()?;
        let sent = payments.iter().filter(|payment| payment.kind == Kind::Withdraw && payment.state == State::Final);
        Ok(sent.fold(Amount::ZERO, |sum, payment| Amount(sum.0.saturating_add(payment.amount.0))))
    }
}
