//! Whatever happens in whatever order, the ledger sums to zero and agrees with the receipts and the epochs.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use surge_protocol::api::{Account, Lease, LeaseState, SubmitJob};
use surge_protocol::epoch::{Balances, SignedReceipt, apply};
use surge_protocol::{Address, Amount, Outcome};

use crate::actors::{Node, Requester};
use crate::harness::Net;

#[derive(Debug, Clone)]
enum Event {
    Order { tasks: usize, quorum: u8, price: u128 },
    Deposit { tokens: u64 },
    Lease { node: usize },
    Deliver { node: usize, honest: bool },
    GiveBack { node: usize, failed: bool },
    Beat { node: usize },
    Pass { seconds: u64 },
    Restart,
}

fn any_event() -> impl Strategy<Value = Event> {
    let node = 0usize..3;
    prop_oneof![
        2 => (1usize..4, 1u8..4, 1u128..1_000).prop_map(|(tasks, quorum, price)| Event::Order { tasks, quorum, price }),
        1 => (0u64..3).prop_map(|tokens| Event::Deposit { tokens }),
        8 => node.clone().prop_map(|node| Event::Lease { node }),
        8 => (node.clone(), prop::bool::weighted(0.8)).prop_map(|(node, honest)| Event::Deliver { node, honest }),
        1 => (node.clone(), any::<bool>()).prop_map(|(node, failed)| Event::GiveBack { node, failed }),
        1 => node.prop_map(|node| Event::Beat { node }),
        3 => (1u64..90).prop_map(|seconds| Event::Pass { seconds }),
        1 => Just(Event::Restart),
    ]
}

struct Play {
    net: Net,
    requester: Requester,
    nodes: Vec<Node>,
    held: BTreeMap<usize, Vec<Lease>>,
    nonce: u64,
}

impl Play {
    async fn start() -> Self {
        let net = Net::start().await;
        let requester = Requester::join(&net, 50).await;
        net.deposit(requester.address(), Amount::tokens(1));
        let nodes = vec![Node::join(&net, 10).await, Node::join(&net, 11).await, Node::join(&net, 12).await];
        Self { net, requester, nodes, held: BTreeMap::new(), nonce: 0 }
    }

    async fn happen(&mut self, event: &Event) {
        match *event {
            Event::Order { tasks, quorum, price } => {
                self.nonce += 1;
                let inputs: Vec<_> = (0..tasks).map(|n| format!("{}-{n}", self.nonce)).collect();
                let inputs: Vec<_> = inputs.iter().map(String::as_str).collect();
                let draft = self.requester.draft(&self.net, &inputs, quorum).await;
                let price = Amount(price * 1_000_000_000_000_000);
                let order = self.requester.sign(&self.net, SubmitJob { nonce: self.nonce, price, ..draft });
                let known = ["insufficient_escrow"];
                if let Err(refusal) = self.requester.submit(&self.net, &order).await {
                    assert!(known.contains(&refusal.code.as_str()), "{refusal:?}");
                }
            }
            Event::Deposit { tokens } => {
                let more = Amount::tokens(tokens);
                let mut chain = self.net.chain.state();
                let held = chain.deposits.get_mut(&self.requester.address()).unwrap();
                *held = held.checked_add(more).unwrap();
            }
            Event::Lease { node } => {
                let lease = self.nodes[node].lease(&self.net).await;
                self.held.entry(node).or_default().extend(lease);
            }
            Event::Deliver { node, honest } => {
                let Some(lease) = self.held.entry(node).or_default().pop() else { return };
                let worker = &self.nodes[node];
                let signed = if honest {
                    worker.compute(&self.net, &lease).await
                } else {
                    worker.claim(&self.net, &lease, b"wrong").await
                };
                let known = ["task_decided", "deadline_passed", "result_conflict"];
                if let Err(refusal) = worker.deliver(&self.net, &signed).await {
                    assert!(known.contains(&refusal.code.as_str()), "{refusal:?}");
                }
            }
            Event::GiveBack { node, failed } => {
                let Some(lease) = self.held.entry(node).or_default().pop() else { return };
                self.nodes[node].give_back(&self.net, &lease, failed.then_some(Outcome::Host)).await;
            }
            Event::Beat { node } => {
                for lease in self.held.entry(node).or_default() {
                    self.nodes[node].beat(&self.net, lease, LeaseState::Running).await;
                }
            }
            Event::Pass { seconds } => self.net.advance(seconds),
            Event::Restart => self.net.restart().await,
        }
    }

    /// The ledger, the receipts and the accounts say the same at any moment at which nothing moves.
    async fn check(&self) {
        loop {
            let balances = self.net.audit().await;
            let receipts: Vec<SignedReceipt> =
                self.net.get(&format!("/v1/accounts/{}/receipts", self.requester.address())).await.unwrap();
            let account = self.net.account(self.requester.address()).await;
            // A replay may end while this looks.
            if self.net.audit().await == balances {
                return self.agree(&balances, &receipts, &account);
            }
        }
    }

    fn agree(&self, balances: &BTreeMap<String, i128>, receipts: &[SignedReceipt], account: &Account) {
        let of = |name: &str, who: Address| balances.get(&format!("{name}:{who}")).copied().unwrap_or(0);
        let (mut credits, mut debits) = (Balances::new(), Balances::new());
        let plain = receipts.iter().map(|signed| &signed.receipt);
        apply(plain, self.net.network.treasury, &mut credits, &mut debits).unwrap();
        for (account, credit) in &credits {
            assert_eq!(of("credit", *account), credit.0 as i128, "credit of {account}");
        }
        let credited: i128 =
            balances.iter().filter(|(name, _)| name.starts_with("credit")).map(|(_, amount)| amount).sum();
        assert_eq!(credited, credits.values().map(|amount| amount.0 as i128).sum::<i128>());
        let spent = debits.get(&self.requester.address()).copied().unwrap_or_default();
        assert_eq!(account.spent, spent);
        assert_eq!(account.reserved.0 as i128, of("reserved", self.requester.address()));
        assert!(of("available", self.requester.address()) >= 0);
    }

    /// Ends every job by its deadline; then nothing may be reserved any more.
    async fn end(&mut self) {
        self.net.advance(2 * 3_600);
        let done =
            || async { (self.net.account(self.requester.address()).await.reserved == Amount::ZERO).then_some(()) };
        self.net.pass_until("every job ends", done).await;
        self.check().await;
        let finished = || async { (self.net.status().await.receipts_unsettled == 0).then_some(()) };
        self.net.pass_until("every receipt is settled", finished).await;
        let chain = self.net.chain.state();
        let mut previous = None;
        for file in &chain.files {
            file.check(previous).unwrap();
            previous = Some(file);
        }
        assert_eq!(chain.proposals, chain.files.len() as u64);
    }
}

#[test]
fn the_ledger_sums_to_zero_and_agrees_with_the_receipts_after_any_history() {
    let mut runner = TestRunner::new(Config { cases: 24, max_shrink_iters: 60, ..Config::default() });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let histories = prop::collection::vec(any_event(), 1..60);
    let play = |history: Vec<Event>| {
        runtime.block_on(async {
            let mut play = Play::start().await;
            for event in &history {
                play.happen(event).await;
                play.check().await;
            }
            play.end().await;
        });
        Ok(())
    };
    runner.run(&histories, play).unwrap();
}
