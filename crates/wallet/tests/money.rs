//! Money on a real chain: claims, withdrawals, their errors, and chains that misbehave.

mod support;

use reqwest::Client;
use serde_json::json;
use std::time::Duration;
use support::{Anvil, Net, TIMING, account, settled, silent, wallet};
use surge_protocol::network::Network;
use surge_protocol::{Address, Amount};
use surge_wallet::{Chain, ChainError, Kind, Money, MoneyError, Proposal, State, Step, Timing};
use tempfile::tempdir;
use tokio::net::TcpListener;

const ONE_ETH: u128 = 10u128.pow(18);

#[tokio::test]
async fn what_is_earned_is_claimed_and_withdrawn_to_the_last_unit() {
    let mut net = Net::start().await;
    let folder = tempdir().unwrap();
    let money = net.money([1; 32], folder.path()).await;
    let me = money.wallet().address();
    net.anvil.give_eth(me, ONE_ETH).await;
    let earned = Amount(12_345_678_901_234_567_890);
    net.credit(Address::repeat_byte(9), Amount::tokens(3)).await;
    let settled = net.credit(me, earned).await;

    let mut before = account(me, Some(settled.clone()));
    before.awaiting_amount = Amount(7);
    before.credited = Amount(earned.0 + 5);
    let balance = money.balance(&before).await.unwrap();
    assert_eq!((balance.earned, balance.validated, balance.claimable), (Amount(7), Amount(5), earned));
    assert_eq!((balance.in_wallet, balance.withdrawn, balance.eth), (Amount::ZERO, Amount::ZERO, Amount(ONE_ETH)));

    let mut steps = Vec::new();
    let claim = money.claim(&settled, &mut |step, _| steps.push(step)).await.unwrap();
    assert_eq!(steps, [Step::Drafted, Step::Signed, Step::Submitted, Step::Sent, Step::Mined, Step::Final]);
    assert_eq!((claim.payment.kind, claim.payment.state, claim.payment.amount), (Kind::Claim, State::Final, earned));
    assert!(!claim.resumed);
    let again = money.claim(&settled, &mut silent()).await.unwrap_err();
    assert_eq!(again.code(), "claim_nothing");

    let to = Address::repeat_byte(0xbe);
    let part = Amount(5_000_000_000_000_000_001);
    let recipient = money.recipient(&to.to_checksum(None)).unwrap();
    let paid = money.withdraw(recipient, part, &mut silent()).await.unwrap();
    assert_eq!(net.chain.token_balance(to).await.unwrap(), part);
    assert_eq!(net.chain.eth_balance(to).await.unwrap().to::<u128>(), 0);

    let after = money.balance(&account(me, Some(settled))).await.unwrap();
    assert_eq!(after.claimable, Amount::ZERO);
    assert_eq!(after.in_wallet, earned.checked_sub(part).unwrap());
    assert_eq!(after.withdrawn, part);
    assert!(after.eth < Amount(ONE_ETH), "the wallet paid the gas");
    assert_eq!(
        money.payments().unwrap().iter().map(|row| row.tx).collect::<Vec<_>>(),
        [paid.payment.tx, claim.payment.tx]
    );
}

#[tokio::test]
async fn a_requester_pays_into_its_own_escrow() {
    let net = Net::start().await;
    let folder = tempdir().unwrap();
    let money = net.money([9; 32], folder.path()).await;
    let me = money.wallet().address();
    net.anvil.give_eth(me, ONE_ETH).await;
    net.give_tokens(me, Amount::tokens(7)).await;
    assert_eq!(money.deposit(Amount::tokens(8), &mut silent()).await.unwrap_err().code(), "amount_not_enough");
    money.deposit(Amount::tokens(2), &mut silent()).await.unwrap();
    money.deposit(Amount::tokens(3), &mut silent()).await.unwrap();
    assert_eq!(net.chain.deposited(me).await.unwrap(), Amount::tokens(5));
    assert_eq!(net.chain.token_balance(me).await.unwrap(), Amount::tokens(2));
    assert_eq!(net.chain.allowance(me).await.unwrap(), Amount::ZERO, "no approval is left over");
    let kinds: Vec<_> = money.payments().unwrap().iter().rev().map(|payment| payment.kind).collect();
    assert_eq!(kinds, [Kind::Approve, Kind::Deposit, Kind::Approve, Kind::Deposit]);
}

#[tokio::test]
async fn a_later_claim_pays_the_difference() {
    let mut net = Net::start().await;
    let folder = tempdir().unwrap();
    let money = net.money([2; 32], folder.path()).await;
    let me = money.wallet().address();
    net.anvil.give_eth(me, ONE_ETH).await;
    let first = net.credit(me, Amount::tokens(2)).await;
    money.claim(&first, &mut silent()).await.unwrap();
    let second = net.credit(me, Amount::tokens(3)).await;
    let paid = money.claim(&second, &mut silent()).await.unwrap();
    assert_eq!(paid.payment.amount, Amount::tokens(3));
    assert_eq!(net.chain.token_balance(me).await.unwrap(), Amount::tokens(5));
    assert_eq!(net.chain.claimed(me).await.unwrap(), Amount::tokens(5));
}

#[tokio::test]
async fn a_proof_that_the_chain_does_not_know_claims_nothing() {
    let mut net = Net::start().await;
    let folder = tempdir().unwrap();
    let money = net.money([3; 32], folder.path()).await;
    let me = money.wallet().address();
    let honest = net.credit(me, Amount::tokens(2)).await;

    let mut greedy = honest.clone();
    greedy.cumulative = Amount::tokens(20);
    assert_eq!(money.claim(&greedy, &mut silent()).await.unwrap_err().code(), "claim_proof_refused");
    let balance = money.balance(&account(me, Some(greedy))).await.unwrap();
    assert_eq!(balance.claimable, Amount::ZERO);
    assert!(balance.problem.unwrap().contains("root of epoch 1"));

    let file = net.next_file(me, Amount::tokens(1));
    net.chain.propose(&net.operator, &Proposal::of(&file, String::new()).unwrap()).await.unwrap();
    let early = money.claim(&settled(&file, me), &mut silent()).await.unwrap_err();
    assert_eq!(early.code(), "claim_not_final");
    assert!(money.payments().unwrap().is_empty());
}

#[tokio::test]
async fn what_cannot_be_paid_is_refused_with_the_numbers() {
    let net = Net::start().await;
    let folder = tempdir().unwrap();
    let money = net.money([4; 32], folder.path()).await;
    let me = money.wallet().address();
    net.give_tokens(me, Amount::tokens(2)).await;
    let to = money.recipient(&format!("{:#x}", Address::repeat_byte(5))).unwrap();

    let zero = money.withdraw(to, Amount::ZERO, &mut silent()).await.unwrap_err();
    assert_eq!(zero.code(), "amount_zero");
    let much = money.withdraw(to, Amount::tokens(3), &mut silent()).await.unwrap_err();
    assert!(matches!(much, MoneyError::NotEnough { .. }));
    assert!(much.to_string().contains("holds 2") && much.to_string().contains("less than 3"), "{much}");

    net.anvil.give_eth(me, 1_000).await;
    let gas = money.withdraw(to, Amount::tokens(1), &mut silent()).await.unwrap_err();
    assert_eq!(gas.code(), "chain_not_enough_eth");
    assert!(gas.to_string().contains("0.000000000000001 ETH"), "{gas}");
    let MoneyError::Chain(ChainError::NotEnoughEth { have, need, .. }) = gas else { panic!("{gas}") };
    assert!(have < need);
    assert_eq!(money.payments().unwrap()[0].state, State::Abandoned);

    net.anvil.give_eth(me, need.to()).await;
    money.withdraw(to, Amount::tokens(1), &mut silent()).await.unwrap();
    for (text, code) in [
        ("0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaeD", "address_checksum"),
        ("0x0000000000000000000000000000000000000000", "address_zero"),
        (&net.network.token.to_checksum(None), "address_token"),
        (&net.network.settlement.to_checksum(None), "address_settlement"),
        (&me.to_checksum(None), "address_own"),
        ("a friend", "address_malformed"),
    ] {
        assert_eq!(money.recipient(text).unwrap_err().code(), code, "{text}");
    }
}

#[tokio::test]
async fn the_contracts_refusal_is_told_by_its_name() {
    let mut net = Net::start_with_window(3_600).await;
    let file = net.next_file(Address::repeat_byte(1), Amount::tokens(2_000));
    let proposal = Proposal::of(&file, String::new()).unwrap();
    let greedy = net.chain.propose(&net.operator, &proposal).await.unwrap_err();
    assert!(matches!(&greedy, ChainError::Reverted(reason) if reason.contains("CreditsExceedDeposits")), "{greedy}");

    let file = support::Net::next_file(&mut net, Address::repeat_byte(2), Amount::ZERO);
    let modest = Proposal {
        epoch: 1,
        credits: Amount::ZERO,
        debits: Amount::ZERO,
        ..Proposal::of(&file, String::new()).unwrap()
    };
    net.chain.propose(&net.operator, &modest).await.unwrap();
    let early = net.chain.finalize(&net.operator, 1).await.unwrap_err();
    assert!(matches!(&early, ChainError::Reverted(reason) if reason.contains("ChallengeWindowOpen")), "{early}");
    let epoch = net.chain.epoch(1).await.unwrap().unwrap();
    assert_eq!((epoch.data_hash, epoch.finalized_at), (file.data_hash(), None));
    net.chain.veto(&net.operator, 1, "a test").await.unwrap();
    assert_eq!(net.chain.epoch(1).await.unwrap(), None);
}

#[tokio::test]
async fn an_epoch_is_finalized_when_its_window_is_over() {
    let mut net = Net::start_with_window(3_600).await;
    let file = net.next_file(Address::repeat_byte(1), Amount::tokens(2));
    net.chain.propose(&net.operator, &Proposal::of(&file, String::new()).unwrap()).await.unwrap();
    assert_eq!(net.chain.challenge_window().await.unwrap(), 3_600);
    net.anvil.ask("evm_increaseTime", json!([3_600])).await;
    net.chain.finalize(&net.operator, 1).await.unwrap();
    let epoch = net.chain.epoch(1).await.unwrap().unwrap();
    assert!(epoch.finalized_at.unwrap() >= epoch.proposed_at + 3_600);
    assert_eq!((epoch.credits, epoch.debits), (Amount::tokens(2), Amount::tokens(2)));
    assert_eq!(net.chain.last_epoch().await.unwrap(), 1);
}

#[tokio::test]
async fn a_second_process_does_not_get_the_journal() {
    let net = Net::start().await;
    let folder = tempdir().unwrap();
    let _first = net.money([5; 32], folder.path()).await;
    let second = Money::open(wallet([5; 32]), Client::new(), &net.network, folder.path(), TIMING).await.unwrap_err();
    assert_eq!(second.code(), "journal_busy");
}

#[tokio::test]
async fn a_node_that_is_down_or_silent_is_passed_over() {
    let net = Net::start().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let down = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let silent_url = format!("http://{}/v3/secret-key", silent.local_addr().unwrap());
    let quick = Timing { answer: Duration::from_millis(500), ..TIMING };
    let rpc = vec![format!("http://{down}"), silent_url.clone(), "no url".into(), net.anvil.url.clone()];
    let chain = Chain::connect(Client::new(), &Network { rpc, ..net.network.clone() }, quick).await.unwrap();
    assert_eq!(chain.deposited(support::REQUESTER).await.unwrap(), Amount::tokens(1_000));

    let nobody = Network { rpc: vec![silent_url], ..net.network.clone() };
    let error = Chain::connect(Client::new(), &nobody, quick).await.unwrap_err();
    assert_eq!(error.code(), "chain_unreachable");
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[tokio::test]
async fn another_chain_is_refused() {
    let net = Net::start().await;
    let elsewhere = Network { chain_id: 1, ..net.network.clone() };
    let error = Chain::connect(Client::new(), &elsewhere, TIMING).await.unwrap_err();
    assert_eq!(error, ChainError::WrongChain { expected: 1, actual: net.network.chain_id });
    let empty = Network { settlement: Address::repeat_byte(0xee), ..net.network.clone() };
    let chain = Chain::connect(Client::new(), &empty, TIMING).await.unwrap();
    assert_eq!(chain.claimed(Address::ZERO).await.unwrap_err().code(), "chain_nonsense");
}

/// The payment's block is replaced by one without it: it is sent again, as the same transaction.
#[tokio::test]
async fn a_reorganised_chain_still_pays_once() {
    let net = Net::start().await;
    let folder = tempdir().unwrap();
    let timing = Timing { confirmations: 3, ..TIMING };
    let money = Money::open(wallet([6; 32]), Client::new(), &net.network, folder.path(), timing).await.unwrap();
    let me = money.wallet().address();
    net.anvil.give_eth(me, ONE_ETH).await;
    net.give_tokens(me, Amount::tokens(2)).await;
    let to = money.recipient(&format!("{:#x}", Address::repeat_byte(0x66))).unwrap();

    let (mined, mut wait) = tokio::sync::mpsc::unbounded_channel();
    let mut watch = |step, _: &_| {
        if step == Step::Mined {
            mined.send(()).unwrap();
        }
    };
    let chain = async {
        wait.recv().await.unwrap();
        net.anvil.ask("anvil_reorg", json!([1, []])).await;
        wait.recv().await.unwrap();
        net.anvil.ask("anvil_mine", json!(["0x3"])).await;
    };
    let (paid, ()) = tokio::join!(money.withdraw(to, Amount::tokens(1), &mut watch), chain);
    assert_eq!(paid.unwrap().payment.state, State::Final);
    assert_eq!(net.chain.token_balance(to.address()).await.unwrap(), Amount::tokens(1));
    assert_eq!(net.anvil.ask("eth_getTransactionCount", json!([me, "latest"])).await, json!("0x1"));
}

/// Another program with the same words uses the nonce first: the payment is over, unpaid, and says so.
#[tokio::test]
async fn a_payment_whose_place_is_taken_is_replaced_and_not_repeated() {
    let net = Net::start().await;
    let folder = tempdir().unwrap();
    let money = net.money([7; 32], folder.path()).await;
    let me = money.wallet().address();
    net.anvil.give_eth(me, ONE_ETH).await;
    net.give_tokens(me, Amount::tokens(9)).await;
    let (ours, theirs) = (Address::repeat_byte(0x71), Address::repeat_byte(0x72));

    let to = money.recipient(&format!("{ours:#x}")).unwrap();
    let interrupted = std::sync::Arc::new(money);
    let task = tokio::spawn({
        let money = interrupted.clone();
        async move {
            let mut stop = |step, _: &_| assert!(step != Step::Signed, "interrupted here");
            money.withdraw(to, Amount::tokens(1), &mut stop).await
        }
    });
    assert!(task.await.unwrap_err().is_panic());
    net.chain.transfer(wallet([7; 32]).key(), theirs, Amount::tokens(4)).await.unwrap();

    let error = interrupted.withdraw(to, Amount::tokens(1), &mut silent()).await.unwrap_err();
    assert_eq!(error.code(), "payment_replaced");
    assert_eq!(net.chain.token_balance(ours).await.unwrap(), Amount::ZERO);
    interrupted.withdraw(to, Amount::tokens(1), &mut silent()).await.unwrap();
    assert_eq!(net.chain.token_balance(ours).await.unwrap(), Amount::tokens(1));
}

/// The chain is away just when the payment is to be sent: it waits in the journal and happens once.
#[tokio::test]
async fn a_chain_that_is_away_gets_the_payment_later() {
    let mut net = Net::start().await;
    let folder = tempdir().unwrap();
    let impatient = Timing { mining: Duration::from_millis(300), answer: Duration::from_millis(300), confirmations: 1 };
    let money = Money::open(wallet([8; 32]), Client::new(), &net.network, folder.path(), impatient).await.unwrap();
    let me = money.wallet().address();
    net.anvil.give_eth(me, ONE_ETH).await;
    net.give_tokens(me, Amount::tokens(2)).await;
    let to = money.recipient(&format!("{:#x}", Address::repeat_byte(0x81))).unwrap();

    let state = net.anvil.ask("anvil_dumpState", json!([])).await;
    let mut kill = |step, _: &_| {
        if step == Step::Signed {
            net.anvil.stop();
        }
    };
    let error = money.withdraw(to, Amount::tokens(1), &mut kill).await.unwrap_err();
    assert_eq!(error.code(), "chain_unconfirmed");
    assert!(error.to_string().contains("do not send it again"));
    drop(money);

    let back = Anvil::start();
    back.ask("anvil_loadState", json!([state])).await;
    let network = Network { rpc: vec![back.url.clone()], ..net.network.clone() };
    let money = Money::open(wallet([8; 32]), Client::new(), &network, folder.path(), TIMING).await.unwrap();
    let paid = money.withdraw(to, Amount::tokens(1), &mut silent()).await.unwrap();
    assert!(paid.resumed);
    assert_eq!(money.chain().token_balance(to.address()).await.unwrap(), Amount::tokens(1));
    assert_eq!(money.payments().unwrap().len(), 1);
}
