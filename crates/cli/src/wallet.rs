//! `surge wallet`: keys and money. Every step that moves money is the wallet crate's; here it is asked for and told.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use surge_contributor::files::{self, write_atomic};
use surge_contributor::{Payout, device_key, read_network, unix_now};
use surge_platform::home;
use surge_platform::paths::Paths;
use surge_protocol::network::Network;
use surge_protocol::{Address, Amount, B256};
use surge_wallet::{Money, MoneyError, Paid, Payment, Step, Timing, Vault, VaultError, Wallet, Words};

use crate::coordinator::Coordinator;
use crate::exit_status::ExitStatus;
use crate::failure::Failure;
use crate::http;
use crate::passphrase::{PassphraseArgs, choose, words};
use crate::say::{json_line, line};

#[derive(Debug, Args)]
pub(crate) struct WalletArgs {
    #[command(flatten)]
    passphrase: PassphraseArgs,
    #[command(subcommand)]
    command: WalletCommand,
}

#[derive(Debug, Subcommand)]
enum WalletCommand {
    /// Create a wallet and show its recovery words once
    New,
    /// Create the wallet from recovery words, typed or piped in, on one line or one on each
    #[command(
        after_help = "Examples:\n  surge wallet import\n  surge wallet --passphrase-file FILE import < words.txt"
    )]
    Import,
    /// The wallet's address
    Address,
    /// Money in all its states
    Balance,
    /// Take what finalized epochs credit into the wallet
    Claim,
    /// Send tokens to an address
    #[command(after_help = "Example:\n  surge wallet withdraw 12.5 --to 0x52908400098527886E0F7030069857D2E4169EE7")]
    Withdraw {
        /// Whole tokens: 12.5
        amount: Amount,
        /// The receiver's address
        #[arg(long, value_name = "ADDRESS")]
        to: String,
    },
    /// Pay tokens into escrow, for jobs of your own
    Deposit {
        /// Whole tokens: 12.5
        amount: Amount,
    },
    /// Make this wallet the payout account of this device
    Bind,
    /// Delete the wallet from this computer; only its words bring it back
    Delete {
        /// The wallet's address, to be sure
        #[arg(long, value_name = "ADDRESS")]
        confirm: Address,
    },
}

pub(crate) async fn run(paths: &Paths, args: WalletArgs, json: bool) -> Result<ExitCode> {
    let WalletArgs { passphrase, command } = args;
    let vault = Vault::at(&paths.wallet());
    match command {
        WalletCommand::New => new(paths, &vault, &passphrase, json),
        WalletCommand::Import => import(paths, &vault, &passphrase, json),
        WalletCommand::Address => address(paths, &vault, json),
        WalletCommand::Balance => balance(paths, passphrase.unlock(&vault)?, json).await,
        WalletCommand::Claim => claim(paths, passphrase.unlock(&vault)?, json).await,
        WalletCommand::Withdraw { amount, to } => withdraw(paths, passphrase.unlock(&vault)?, amount, &to, json).await,
        WalletCommand::Deposit { amount } => deposit(paths, passphrase.unlock(&vault)?, amount, json).await,
        WalletCommand::Bind => bind(paths, &passphrase.unlock(&vault)?, json),
        WalletCommand::Delete { confirm } => delete(paths, &vault, &passphrase, confirm, json),
    }
}

/// Keeps other commands from making or deleting a wallet meanwhile.
fn alone(paths: &Paths) -> Result<files::Locked> {
    home::prepare(paths)?;
    files::lock(&paths.wallet()).with_context(|| format!("{} can't be changed", paths.wallet().display()))
}

fn new(paths: &Paths, vault: &Vault, passphrase: &PassphraseArgs, json: bool) -> Result<ExitCode> {
    let _alone = alone(paths)?;
    let given = passphrase.given()?;
    let (wallet, used) = with_passphrase(given, |passphrase| vault.create(passphrase))?;
    bind_if_attached(paths, &wallet)?;
    if json {
        return json_line(&json!({ "address": wallet.address().to_checksum(None) }));
    }
    line(&format!("Your new wallet: {}", wallet.address().to_checksum(None)))?;
    line("Write these recovery words down, in this order. They are not shown again, and they are the only backup:")?;
    line(&format!("\n    {}\n", vault.reveal_words(used.as_ref())?.expose_secret()))?;
    Ok(ExitCode::SUCCESS)
}

fn import(paths: &Paths, vault: &Vault, passphrase: &PassphraseArgs, json: bool) -> Result<ExitCode> {
    let _alone = alone(paths)?;
    let words = Words::parse(&words()?)?;
    let (wallet, _) = with_passphrase(passphrase.given()?, |passphrase| vault.import(&words, passphrase))?;
    bind_if_attached(paths, &wallet)?;
    shown(&wallet, "Imported", json)
}

/// Creates; where a passphrase is required and none was given, lets the person at the terminal choose one.
fn with_passphrase(
    given: Option<SecretString>,
    create: impl Fn(Option<&SecretString>) -> Result<Wallet, VaultError>,
) -> Result<(Wallet, Option<SecretString>)> {
    match create(given.as_ref()) {
        Err(VaultError::PassphraseRequired(why)) if std::io::IsTerminal::is_terminal(&std::io::stdin()) => {
            line(&format!("A passphrase will lock this wallet, because {why}."))?;
            let chosen = Some(choose()?);
            Ok((create(chosen.as_ref())?, chosen))
        }
        Err(VaultError::PassphraseRequired(why)) => {
            let message = format!(
                "a passphrase must lock this wallet, because {why}; nobody is at the terminal to choose one: \
                 name a file that holds one with --passphrase-file"
            );
            Err(Failure::new(VaultError::PassphraseRequired(why).code(), message).into())
        }
        created => Ok((created?, given)),
    }
}

fn shown(wallet: &Wallet, what: &str, json: bool) -> Result<ExitCode> {
    let address = wallet.address().to_checksum(None);
    if json {
        return json_line(&json!({ "address": address }));
    }
    line(&format!("{what} {address}"))?;
    Ok(ExitCode::SUCCESS)
}

fn address(paths: &Paths, vault: &Vault, json: bool) -> Result<ExitCode> {
    let address = own_address(paths, vault)?.to_checksum(None);
    if json {
        return json_line(&json!({ "address": address }));
    }
    line(&address)?;
    Ok(ExitCode::SUCCESS)
}

fn own_address(paths: &Paths, vault: &Vault) -> Result<Address, VaultError> {
    let status = vault.status()?.ok_or_else(|| VaultError::Absent(paths.wallet()))?;
    Ok(status.address)
}

/// A device that is attached is bound to its new wallet at once, so that `surge run` needs no secret.
fn bind_if_attached(paths: &Paths, wallet: &Wallet) -> Result<()> {
    if !paths.network().exists() {
        return Ok(());
    }
    write_binding(paths, wallet)
}

fn bind(paths: &Paths, wallet: &Wallet, json: bool) -> Result<ExitCode> {
    home::prepare(paths)?;
    write_binding(paths, wallet)?;
    shown(wallet, "This device now pays out to", json)
}

fn write_binding(paths: &Paths, wallet: &Wallet) -> Result<()> {
    // What is bound belongs to the network that is attached, also where another command attaches to one meanwhile.
    let _mine =
        files::lock(&paths.network()).with_context(|| format!("{} can't be held", paths.network().display()))?;
    let network = read_network(&paths.network())?;
    let device = device_key(&paths.device_key())?;
    let issued_at = unix_now();
    let signature = wallet.sign_payout_binding(&network, device.address(), issued_at);
    let payout = Payout { payout: wallet.address(), issued_at, signature };
    write_atomic(&paths.payout(), &serde_json::to_vec_pretty(&payout)?, 0o600)
        .with_context(|| format!("{} can't be written", paths.payout().display()))
}

fn delete(paths: &Paths, vault: &Vault, passphrase: &PassphraseArgs, confirm: Address, json: bool) -> Result<ExitCode> {
    // Where there is none, nothing is made to find that out.
    own_address(paths, vault)?;
    let _alone = alone(paths)?;
    let wallet = passphrase.unlock(vault)?;
    if wallet.address() != confirm {
        let message = format!("this wallet is {}, not {confirm}; nothing was deleted", wallet.address());
        return Err(Failure::new("other_wallet", message).with_status(ExitStatus::Usage).into());
    }
    vault.destroy(passphrase.given()?.as_ref())?;
    shown(&wallet, "Deleted", json)
}

async fn open(paths: &Paths, network: &Network, wallet: Wallet) -> Result<Money> {
    Ok(Money::open(wallet, http::client(paths)?, network, &paths.wallet(), Timing::default()).await?)
}

async fn balance(paths: &Paths, wallet: Wallet, json: bool) -> Result<ExitCode> {
    let network = read_network(&paths.network())?;
    let account = Coordinator::of(paths, &network)?.account(wallet.address()).await?;
    let balance = open(paths, &network, wallet).await?.balance(&account).await?;
    if json {
        return json_line(&balance);
    }
    line(&format!("Awaiting a verdict  {}", balance.earned))?;
    line(&format!("Validated           {}", balance.validated))?;
    line(&format!("Claimable           {}", balance.claimable))?;
    line(&format!("In the wallet       {}", balance.in_wallet))?;
    line(&format!("Withdrawn           {}", balance.withdrawn))?;
    line(&format!("For gas             {} ETH", balance.eth))?;
    if let Some(problem) = &balance.problem {
        line(&format!("Note: {problem}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn claim(paths: &Paths, wallet: Wallet, json: bool) -> Result<ExitCode> {
    let network = read_network(&paths.network())?;
    let account = Coordinator::of(paths, &network)?.account(wallet.address()).await?;
    let Some(settled) = account.settled else {
        return Err(MoneyError::NothingToClaim { claimed: Amount::ZERO }.into());
    };
    let money = open(paths, &network, wallet).await?;
    let Paid { payment, resumed } = money.claim(&settled, &mut tell).await?;
    if json {
        return json_line(&json!({
            "claimed": payment.amount, "epoch": payment.epoch, "tx": payment.tx, "state": payment.state, "resumed": resumed,
        }));
    }
    told(&format!("Claimed {} tokens", payment.amount), payment.tx, resumed)
}

async fn withdraw(paths: &Paths, wallet: Wallet, amount: Amount, to: &str, json: bool) -> Result<ExitCode> {
    let network = read_network(&paths.network())?;
    let money = open(paths, &network, wallet).await?;
    let recipient = money.recipient(to)?;
    let Paid { payment, resumed } = money.withdraw(recipient, amount, &mut tell).await?;
    let to = payment.to.to_checksum(None);
    if json {
        return json_line(&json!({
            "amount": payment.amount, "to": to, "tx": payment.tx, "state": payment.state, "resumed": resumed,
        }));
    }
    told(&format!("Sent {} tokens to {to}", payment.amount), payment.tx, resumed)
}

/// Progress of a payment, for whoever waits at the terminal.
fn tell(step: Step, payment: &Payment) {
    tracing::info!(?step, amount = %payment.amount, tx = ?payment.tx, "Payment");
}

fn told(what: &str, tx: Option<B256>, resumed: bool) -> Result<ExitCode> {
    line(&format!("{what}{}", tx.map(|tx| format!(" in transaction {tx}")).unwrap_or_default()))?;
    if resumed {
        line("This was an interrupted payment, brought to its end; nothing was paid twice.")?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn deposit(paths: &Paths, wallet: Wallet, amount: Amount, json: bool) -> Result<ExitCode> {
    let network = read_network(&paths.network())?;
    let money = open(paths, &network, wallet).await?;
    let Paid { payment, resumed } = money.deposit(amount, &mut tell).await?;
    if json {
        return json_line(
            &json!({ "amount": payment.amount, "tx": payment.tx, "state": payment.state, "resumed": resumed }),
        );
    }
    told(&format!("Paid {} tokens into escrow", payment.amount), payment.tx, resumed)
}
