//! Keys and money: the vault that keeps a wallet's words, what the wallet signs, and how money is claimed and sent.
//!
//! - [`Vault`] creates, imports and unlocks; it yields a [`Wallet`], which signs.
//! - [`Money`] claims and withdraws over a journal that survives any crash, and shows the balance.
//! - [`Chain`] is the typed client of the two contracts; [`deploy`] puts them on a chain.
//!
//! Deliberately absent: HTTP to a coordinator (its answers are passed in), anything about contributing, prompts and
//! printing. No function writes a secret to a log, and none shows the words but [`Vault::reveal_words`].

pub mod address;
mod bindings;
pub mod chain;
pub mod deploy;
pub mod journal;
pub mod money;
pub mod payment;
mod refusal;
pub mod rpc;
mod tx;
pub mod vault;
mod wallet;
pub mod words;

pub use address::{AddressError, Recipient};
pub use chain::{Chain, ChainError, EpochInfo, Proposal};
pub use deploy::{Deployed, Deployment, deploy};
pub use journal::{Journal, JournalError};
pub use money::{Balance, Money, MoneyError, Paid, Steps};
pub use payment::{Kind, Payment, State, Step};
pub use rpc::{Mined, Rpc, Timing};
pub use vault::{Keychain, KeychainError, Mode, Vault, VaultError};
pub use wallet::Wallet;
pub use words::{Words, WordsError, is_recovery_word};
