//! What anybody can see from outside: the coordinator's HTTP API and the chain's JSON-RPC.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// One HTTP client for both.
#[derive(Debug)]
pub(crate) struct Outside {
    http: ureq::Agent,
    pub(crate) rpc: String,
    pub(crate) coordinator: String,
}

impl Outside {
    pub(crate) fn new(rpc: String, coordinator: String) -> Self {
        let config = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(10))).proxy(None).build();
        Self { http: config.into(), rpc, coordinator }
    }

    /// Reads from the coordinator.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let url = format!("{}{path}", self.coordinator);
        let mut reply = self.http.get(&url).call().with_context(|| format!("GET {url}"))?;
        reply.body_mut().read_json().with_context(|| format!("GET {url}"))
    }

    /// Calls the chain.
    pub(crate) fn chain(&self, method: &str, params: &Value) -> Result<Value> {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let mut reply =
            self.http.post(&self.rpc).send_json(body).with_context(|| format!("{method} at {}", self.rpc))?;
        let mut reply: Value = reply.body_mut().read_json()?;
        match reply["error"].take() {
            Value::Null => Ok(reply["result"].take()),
            error => bail!("{method}: {error}"),
        }
    }

    /// Gives an account ETH for gas, as the local chain's faucet.
    pub(crate) fn give_ether(&self, account: &str, ether: u64) -> Result<()> {
        let wei = format!("0x{:x}", u128::from(ether) * 10u128.pow(18));
        self.chain("anvil_setBalance", &json!([account, wei]))?;
        Ok(())
    }

    /// An account's ETH, wei.
    pub(crate) fn ether(&self, account: &str) -> Result<u128> {
        number(&self.chain("eth_getBalance", &json!([account, "latest"]))?)
    }

    /// An account's tokens by `balanceOf`, base units.
    pub(crate) fn tokens(&self, token: &str, account: &str) -> Result<u128> {
        // The first four bytes of keccak256("balanceOf(address)").
        let data = format!("0x70a08231{:0>64}", account.trim_start_matches("0x").to_lowercase());
        number(&self.chain("eth_call", &json!([{ "to": token, "data": data }, "latest"]))?)
    }
}

fn number(hex: &Value) -> Result<u128> {
    let digits = hex.as_str().and_then(|text| text.strip_prefix("0x")).context("the chain answered no number")?;
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() { Ok(0) } else { Ok(u128::from_str_radix(digits, 16)?) }
}
