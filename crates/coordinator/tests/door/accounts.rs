//! What accounts are told, of deposits above all.

use surge_protocol::Amount;

use crate::actors::{Node, PRICE, Requester};
use crate::harness::{Net, key};

#[tokio::test]
async fn a_deposit_is_seen_when_somebody_asks_and_follows_the_chain_back() {
    let net = Net::start().await;
    let who = key(50).address();
    assert_eq!(net.account(who).await.deposited, Amount::ZERO);
    net.deposit(who, Amount::tokens(5));
    assert_eq!(net.account(who).await.deposited, Amount::tokens(5));
    net.deposit(who, Amount::tokens(3));
    assert_eq!(net.account(who).await.deposited, Amount::tokens(3), "the chain went back");
    net.chain.state().down = true;
    assert_eq!(net.account(who).await.deposited, Amount::tokens(3), "the last that was known");
    let balances = net.audit().await;
    assert_eq!(balances[&format!("available:{who}")], Amount::tokens(3).0 as i128);
}

#[tokio::test]
async fn results_on_their_way_are_shown_with_what_they_would_bring() {
    let net = Net::start().await;
    let requester = Requester::join(&net, 50).await;
    let node = Node::join(&net, 10).await;
    requester.order(&net, &["a", "b"], 2).await;
    assert!(node.work(&net).await && node.work(&net).await);
    let net_each = surge_protocol::split::split(PRICE, net.network.fee_bps).net;
    for address in [node.payout, node.address()] {
        let account = net.account(address).await;
        assert_eq!((account.awaiting_verdict, account.awaiting_amount), (2, net_each.checked_mul(2).unwrap()));
        assert_eq!(account.credited, Amount::ZERO);
    }
    let account = net.account(requester.address()).await;
    assert_eq!((account.reserved, account.spent), (PRICE.checked_mul(4).unwrap(), Amount::ZERO));
    let nobody = net.account(key(99).address()).await;
    assert_eq!((nobody.awaiting_verdict, nobody.deposited, nobody.settled.is_none()), (0, Amount::ZERO, true));
}
