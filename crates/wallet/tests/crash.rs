//! The process is killed at every step of a payment; the next one neither loses nor repeats it.
//!
//! This program plays both parts: started again with a plan in its environment, it is the process that dies.

#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

#[expect(dead_code, reason = "the other test programs use the rest")]
mod support;

use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use reqwest::Client;
use serde::{Deserialize, Serialize};
use serde_json::json;
use support::{Net, TIMING, silent, wallet};
use surge_protocol::api::Settled;
use surge_protocol::network::Network;
use surge_protocol::{Address, Amount};
use surge_wallet::{Money, State, Step};
use tempfile::tempdir;

const PLAN: &str = "SURGE_CRASH_PLAN";
const STEPS: [Step; 6] = [Step::Drafted, Step::Signed, Step::Submitted, Step::Sent, Step::Mined, Step::Final];

/// What the process that dies does, and when it dies.
#[derive(Serialize, Deserialize)]
struct Plan {
    network: Network,
    folder: std::path::PathBuf,
    key: [u8; 32],
    act: Act,
    step: usize,
}

#[derive(Clone, Serialize, Deserialize)]
enum Act {
    Withdraw { to: Address, amount: Amount },
    Claim(Settled),
    Deposit { amount: Amount },
}

impl Act {
    async fn run(
        &self,
        money: &Money,
        steps: surge_wallet::Steps<'_>,
    ) -> Result<surge_wallet::Paid, surge_wallet::MoneyError> {
        match self {
            Self::Withdraw { to, amount } => {
                money.withdraw(money.recipient(&format!("{to:#x}"))?, *amount, steps).await
            }
            Self::Claim(settled) => money.claim(settled, steps).await,
            Self::Deposit { amount } => money.deposit(*amount, steps).await,
        }
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    match std::env::var(PLAN) {
        Ok(plan) => runtime.block_on(die(&serde_json::from_str(&plan).unwrap())),
        Err(_) => runtime.block_on(survive()),
    }
}

async fn die(plan: &Plan) {
    let money = Money::open(wallet(plan.key), Client::new(), &plan.network, &plan.folder, TIMING).await.unwrap();
    // A deposit has the steps of its approval first.
    let (mut seen, at) = (0, plan.step);
    let mut crash = |step, _: &_| {
        if step == STEPS[at % STEPS.len()] && seen == at / STEPS.len() {
            std::process::abort();
        }
        seen += usize::from(step == Step::Final);
    };
    plan.act.run(&money, &mut crash).await.unwrap();
}

fn run_and_die(net: &Net, folder: &Path, key: [u8; 32], act: &Act, step: usize) -> ExitStatus {
    let plan = Plan { network: net.network.clone(), folder: folder.to_owned(), key, act: act.clone(), step };
    Command::new(std::env::current_exe().unwrap())
        .env(PLAN, serde_json::to_string(&plan).unwrap())
        .stderr(Stdio::null())
        .status()
        .unwrap()
}

async fn survive() {
    let mut net = Net::start().await;
    for (index, step) in STEPS.iter().enumerate() {
        a_withdrawal_that_died_is_paid_once(&net, index).await;
        println!("test a_withdrawal_that_died_is_paid_once at {step:?} ... ok");
        a_claim_that_died_is_paid_once(&mut net, index).await;
        println!("test a_claim_that_died_is_paid_once at {step:?} ... ok");
        another_payment_after_a_crash_pays_both_or_the_second_alone(&net, index).await;
        println!("test another_payment_after_a_crash_pays_both_or_the_second_alone at {step:?} ... ok");
    }
    for step in 0..2 * STEPS.len() {
        a_deposit_that_died_is_paid_once(&net, step).await;
        let part = ["its approval", "itself"][step / STEPS.len()];
        println!("test a_deposit_that_died_is_paid_once at {:?} of {part} ... ok", STEPS[step % STEPS.len()]);
    }
    println!("\ntest result: ok. {} passed; 0 failed", 5 * STEPS.len());
}

fn key(kind: u8, step: usize) -> [u8; 32] {
    let mut key = [kind; 32];
    key[31] = step as u8 + 1;
    key
}

async fn nonce(net: &Net, account: Address) -> u64 {
    let count = net.anvil.ask("eth_getTransactionCount", json!([account, "latest"])).await;
    u64::from_str_radix(count.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

/// A wallet with ETH and three tokens.
async fn funded(net: &Net, key: [u8; 32]) -> Address {
    let account = wallet(key).address();
    net.anvil.give_eth(account, 10u128.pow(18)).await;
    net.give_tokens(account, Amount::tokens(3)).await;
    account
}

async fn a_withdrawal_that_died_is_paid_once(net: &Net, step: usize) {
    let (key, folder) = (key(0x10, step), tempdir().unwrap());
    let me = funded(net, key).await;
    let to = Address::left_padding_from(&[0x10, step as u8 + 1]);
    let act = Act::Withdraw { to, amount: Amount::tokens(1) };
    assert!(!run_and_die(net, folder.path(), key, &act, step).success());

    let money = net.money(key, folder.path()).await;
    let paid = act.run(&money, &mut silent()).await.unwrap();
    assert!(paid.resumed, "the interrupted payment was found");
    assert_eq!(paid.payment.state, State::Final);
    assert_eq!(net.chain.token_balance(to).await.unwrap(), Amount::tokens(1));
    assert_eq!(net.chain.token_balance(me).await.unwrap(), Amount::tokens(2));
    assert_eq!(nonce(net, me).await, 1);
    assert_eq!(money.payments().unwrap().len(), 1);

    // Asked again on purpose, it pays again.
    let paid = act.run(&money, &mut silent()).await.unwrap();
    assert!(!paid.resumed);
    assert_eq!(net.chain.token_balance(to).await.unwrap(), Amount::tokens(2));
}

async fn a_claim_that_died_is_paid_once(net: &mut Net, step: usize) {
    let (key, folder) = (key(0x20, step), tempdir().unwrap());
    let me = funded(net, key).await;
    let act = Act::Claim(net.credit(me, Amount::tokens(5)).await);
    assert!(!run_and_die(net, folder.path(), key, &act, step).success());

    let money = net.money(key, folder.path()).await;
    let paid = act.run(&money, &mut silent()).await.unwrap();
    assert!(paid.resumed);
    assert_eq!(net.chain.token_balance(me).await.unwrap(), Amount::tokens(8));
    assert_eq!(net.chain.claimed(me).await.unwrap(), Amount::tokens(5));
    assert_eq!(nonce(net, me).await, 1);
    assert_eq!(act.run(&money, &mut silent()).await.unwrap_err().code(), "claim_nothing");
}

async fn a_deposit_that_died_is_paid_once(net: &Net, step: usize) {
    let (key, folder) = (key(0x40, step), tempdir().unwrap());
    let me = funded(net, key).await;
    let act = Act::Deposit { amount: Amount::tokens(1) };
    assert!(!run_and_die(net, folder.path(), key, &act, step).success());

    let money = net.money(key, folder.path()).await;
    act.run(&money, &mut silent()).await.unwrap();
    assert_eq!(net.chain.deposited(me).await.unwrap(), Amount::tokens(1));
    assert_eq!(net.chain.token_balance(me).await.unwrap(), Amount::tokens(2));
    assert_eq!(nonce(net, me).await, 2);
}

/// A payment that was signed happens, one that was not does not; the new one happens in any case, and each once.
async fn another_payment_after_a_crash_pays_both_or_the_second_alone(net: &Net, step: usize) {
    let (key, folder) = (key(0x30, step), tempdir().unwrap());
    let me = funded(net, key).await;
    let [first, second] = [0x31, 0x32].map(|tag| Address::left_padding_from(&[tag, step as u8 + 1]));
    let act = |to| Act::Withdraw { to, amount: Amount::tokens(1) };
    assert!(!run_and_die(net, folder.path(), key, &act(first), step).success());

    let money = net.money(key, folder.path()).await;
    assert!(!act(second).run(&money, &mut silent()).await.unwrap().resumed);
    let signed = STEPS[step] != Step::Drafted;
    let expected = if signed { Amount::tokens(1) } else { Amount::ZERO };
    assert_eq!(net.chain.token_balance(first).await.unwrap(), expected);
    assert_eq!(net.chain.token_balance(second).await.unwrap(), Amount::tokens(1));
    assert_eq!(nonce(net, me).await, 1 + u64::from(signed));
    let states: Vec<_> = money.payments().unwrap().iter().map(|payment| payment.state).collect();
    assert_eq!(states, [State::Final, if signed { State::Final } else { State::Abandoned }]);
}
