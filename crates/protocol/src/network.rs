//! The network manifest: everything a contributor or requester must know to attach, signed by the coordinator's key.

use alloy_primitives::{Address, B256};
use alloy_sol_types::Eip712Domain;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::Digest;
use crate::sign::{Key, NetworkManifest, SignatureError, Signed, domain};
use crate::split::WHOLE_BPS;

/// A network. Nothing about one is compiled in: attaching is reading this file or fetching it from a coordinator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    pub name: String,
    /// Coordinator base URLs, tried in order.
    pub coordinators: Vec<String>,
    pub chain_id: u64,
    /// JSON-RPC URLs of the chain, tried in order.
    pub rpc: Vec<String>,
    /// The reward token (ERC-20).
    pub token: Address,
    /// Escrow and epochs.
    pub settlement: Address,
    /// Where the network's fee is credited.
    pub treasury: Address,
    /// The network's fee, basis points of every accepted execution's price.
    pub fee_bps: u16,
    /// Signs receipts and this manifest.
    pub coordinator_key: Address,
}

/// A manifest and the coordinator's signature over it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedNetwork {
    pub network: Network,
    pub signature: Signed,
}

#[derive(Debug, Error, PartialEq, Eq)]
pub enum NetworkError {
    #[error("the manifest's signature is wrong")]
    Signature(#[from] SignatureError),
    #[error("the fee of {0} basis points is more than the whole price")]
    Fee(u16),
    #[error("the manifest names no {0}")]
    Empty(&'static str),
    #[error("the network's name {0:?} is not one: it needs 1 to {LONGEST_NAME} characters that can be printed")]
    Name(String),
    #[error("the {what} URL {url:?} is not one: write http://HOST or https://HOST, with a port and path if need be")]
    Url { what: &'static str, url: String },
    #[error("the address of the {0} is zero")]
    Zero(&'static str),
    #[error("the chain's id is 0")]
    Chain,
}

/// Longer names fit on no line.
const LONGEST_NAME: usize = 100;

impl Network {
    #[must_use]
    pub fn domain(&self) -> Eip712Domain {
        domain(self.chain_id, self.settlement)
    }

    /// Checks everything but the signature: whoever makes a manifest does so before it costs anything.
    ///
    /// # Errors
    /// The first thing that nobody could use.
    pub fn check(&self) -> Result<(), NetworkError> {
        let name = self.name.trim();
        if name.is_empty() || name.chars().count() > LONGEST_NAME || name.contains(char::is_control) {
            return Err(NetworkError::Name(self.name.clone()));
        }
        if self.chain_id == 0 {
            return Err(NetworkError::Chain);
        }
        if u128::from(self.fee_bps) > WHOLE_BPS {
            return Err(NetworkError::Fee(self.fee_bps));
        }
        for (what, urls) in [("coordinator", &self.coordinators), ("RPC", &self.rpc)] {
            if urls.is_empty() {
                return Err(NetworkError::Empty(if what == "RPC" { "RPC URL" } else { what }));
            }
            if let Some(url) = urls.iter().find(|url| !is_base_url(url)) {
                return Err(NetworkError::Url { what, url: url.clone() });
            }
        }
        let addresses = [
            ("token", self.token),
            ("settlement contract", self.settlement),
            ("treasury", self.treasury),
            ("coordinator's key", self.coordinator_key),
        ];
        match addresses.into_iter().find(|(_, address)| address.is_zero()) {
            Some((what, _)) => Err(NetworkError::Zero(what)),
            None => Ok(()),
        }
    }

    fn message(&self) -> NetworkManifest {
        let canonical = serde_json::to_vec(self).expect("a manifest has string keys only");
        NetworkManifest { manifest: B256::from(Digest::of(&canonical).0) }
    }

    /// Signs the manifest with the coordinator's key.
    #[must_use]
    pub fn sign(self, key: &Key) -> SignedNetwork {
        let signature = key.sign(&self.message(), &self.domain());
        SignedNetwork { network: self, signature }
    }
}

impl SignedNetwork {
    /// Checks signature and contents.
    ///
    /// # Errors
    /// See [`NetworkError`].
    pub fn verified(self) -> Result<Network, NetworkError> {
        let network = self.network;
        self.signature.verify(&network.message(), &network.domain(), network.coordinator_key)?;
        network.check()?;
        Ok(network)
    }
}

/// Whether `text` is a URL that requests can be sent to: `http` or `https`, a host, perhaps a login before it, a port and a path
/// behind it.
#[must_use]
pub fn is_base_url(text: &str) -> bool {
    let scheme = ["http://", "https://"]
        .into_iter()
        .find(|scheme| text.get(..scheme.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(scheme)));
    let Some(rest) = scheme.map(|scheme| &text[scheme.len()..]) else { return false };
    if rest.contains(|c: char| c.is_whitespace() || c.is_control() || "?#\\\"<>^`{|}".contains(c)) {
        return false;
    }
    let authority = rest.split('/').next().unwrap_or_default();
    let authority = authority.rsplit('@').next().unwrap_or_default();
    // The colons of an IPv6 address are in brackets.
    let (host, port) = match authority.strip_prefix('[').and_then(|inside| inside.split_once(']')) {
        Some((host, rest)) => (host.parse::<std::net::Ipv6Addr>().map_or("", |_| host), rest),
        None => authority.find(':').map_or((authority, ""), |colon| authority.split_at(colon)),
    };
    let port = port.strip_prefix(':').map_or(port.is_empty(), |port| port.parse::<u16>().is_ok_and(|port| port > 0));
    !host.is_empty() && host != "." && port
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(key: &Key) -> Network {
        Network {
            name: "test".into(),
            coordinators: vec!["http://127.0.0.1:1".into()],
            chain_id: 31337,
            rpc: vec!["http://127.0.0.1:2".into()],
            token: Address::repeat_byte(1),
            settlement: Address::repeat_byte(2),
            treasury: Address::repeat_byte(3),
            fee_bps: 500,
            coordinator_key: key.address(),
        }
    }

    #[test]
    fn a_changed_manifest_is_refused() {
        let key = Key::from_bytes(&[9; 32]).unwrap();
        let signed = network(&key).sign(&key);
        assert!(signed.clone().verified().is_ok());
        let mut forged = signed;
        forged.network.treasury = Address::repeat_byte(66);
        assert!(matches!(forged.verified(), Err(NetworkError::Signature(_))));
    }

    #[test]
    fn a_fee_above_the_price_is_refused() {
        let key = Key::from_bytes(&[9; 32]).unwrap();
        let greedy = Network { fee_bps: 10_001, ..network(&key) };
        assert_eq!(greedy.sign(&key).verified(), Err(NetworkError::Fee(10_001)));
    }

    #[test]
    fn a_manifest_that_nobody_could_use_is_refused_though_it_is_signed() {
        let key = Key::from_bytes(&[9; 32]).unwrap();
        let sound = || network(&key);
        let url = |url: &str| NetworkError::Url { what: "coordinator", url: url.into() };
        let name = |name: &str| (Network { name: name.into(), ..sound() }, NetworkError::Name(name.into()));
        let mut cases = vec![
            name(""),
            name("  "),
            name("a\nb"),
            name(&"x".repeat(101)),
            (Network { chain_id: 0, ..sound() }, NetworkError::Chain),
            (Network { coordinators: Vec::new(), ..sound() }, NetworkError::Empty("coordinator")),
            (Network { rpc: Vec::new(), ..sound() }, NetworkError::Empty("RPC URL")),
            (
                Network { rpc: vec!["ws://a".into()], ..sound() },
                NetworkError::Url { what: "RPC", url: "ws://a".into() },
            ),
            (Network { token: Address::ZERO, ..sound() }, NetworkError::Zero("token")),
            (Network { settlement: Address::ZERO, ..sound() }, NetworkError::Zero("settlement contract")),
            (Network { treasury: Address::ZERO, ..sound() }, NetworkError::Zero("treasury")),
        ];
        for wrong in
            ["", "x", "http://", "https:///path", "ftp://a", "http://a b", "http://a:0", "http://a:99999", "http://a:b"]
        {
            cases.push((Network { coordinators: vec!["http://sound".into(), wrong.into()], ..sound() }, url(wrong)));
        }
        for (network, error) in cases {
            assert_eq!(network.sign(&key).verified(), Err(error));
        }
    }

    #[test]
    fn urls_that_requests_can_be_sent_to_are_known() {
        for right in [
            "http://a",
            "HTTPS://a.example:443/path/",
            "http://[::1]:80",
            "http://127.0.0.1:1",
            "http://grüße.example",
            "http://user:secret@a:80",
        ] {
            assert!(is_base_url(right), "{right}");
        }
        for wrong in [
            "http://[::1",
            "http://[x]",
            "http://a?b",
            "http://u:p@",
            "http://a\n",
            "//a",
            "http:/a",
            "http://a:",
            "http://:80",
        ] {
            assert!(!is_base_url(wrong), "{wrong:?}");
        }
    }
}
