//! What an operator does once: keys, deployment, the manifest, tokens.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::json;
use surge_protocol::network::{Network, SignedNetwork};
use surge_protocol::sign::Key;
use surge_protocol::{Address, Amount};
use surge_wallet::{Chain, Deployment, Rpc, Timing};

/// The file of the coordinator's own key, in its home.
pub(crate) const COORDINATOR_KEY: &str = "coordinator.key";
const MANIFEST: &str = "network.json";
/// Orders may run a week; an exit takes longer than that and two epochs.
const EXIT_DELAY_SECONDS: u64 = 14 * 86_400;

#[derive(Debug, Args)]
pub(crate) struct KeyArgs {
    /// File with the operator's key, 64 hex digits, readable by its owner only
    #[arg(long, value_name = "FILE")]
    key_file: PathBuf,
}

impl KeyArgs {
    pub(crate) fn read(&self) -> Result<Key> {
        read_key(&self.key_file)
    }
}

#[derive(Debug, Args)]
pub(crate) struct DeployArgs {
    #[command(flatten)]
    key: KeyArgs,
    /// The chain's JSON-RPC
    #[arg(long, value_name = "URL")]
    rpc: String,
    /// The network's name
    #[arg(long)]
    name: String,
    /// Where contributors and requesters will reach the coordinator
    #[arg(long, value_name = "URL")]
    url: String,
    /// The network's fee, basis points of each accepted execution's price
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u16).range(0..=10_000))]
    fee_bps: u16,
    /// Seconds in which a proposed epoch can be vetoed
    #[arg(long, default_value_t = 86_400)]
    challenge_seconds: u64,
    /// Takes the fees; the operator's own account if not given
    #[arg(long, value_name = "ADDRESS")]
    treasury: Option<Address>,
    #[arg(long, value_name = "FOLDER")]
    home: PathBuf,
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct MintArgs {
    #[command(flatten)]
    key: KeyArgs,
    #[arg(long, value_name = "ADDRESS")]
    to: Address,
    /// Whole tokens
    #[arg(long)]
    amount: Amount,
    #[arg(long, value_name = "FOLDER")]
    home: PathBuf,
}

pub(crate) fn address(args: &KeyArgs) -> Result<()> {
    writeln!(io::stdout(), "{}", args.read()?.address().to_checksum(None))?;
    Ok(())
}

pub(crate) async fn deploy(args: &DeployArgs) -> Result<()> {
    let manifest = args.home.join(MANIFEST);
    if manifest.exists() {
        bail!(
            "{} is there already: a network is deployed once. Choose another --home for another network",
            manifest.display()
        );
    }
    fs::create_dir_all(&args.home).with_context(|| format!("{} can't be made", args.home.display()))?;
    let operator = args.key.read()?;
    let key = make_key(&args.home.join(COORDINATOR_KEY))?;
    let rpc = Rpc::connect(http()?, std::slice::from_ref(&args.rpc), None, Timing::default()).await?;
    let deployment = Deployment {
        token_name: "Surge".into(),
        token_symbol: "SURGE".into(),
        admin: operator.address(),
        settler: operator.address(),
        guardian: operator.address(),
        challenge_window: args.challenge_seconds,
        exit_delay: EXIT_DELAY_SECONDS,
    };
    let deployed = surge_wallet::deploy(&rpc, &operator, &deployment).await?;
    let network = Network {
        name: args.name.clone(),
        coordinators: vec![args.url.clone()],
        chain_id: rpc.chain_id(),
        rpc: vec![args.rpc.clone()],
        token: deployed.token,
        settlement: deployed.settlement,
        treasury: args.treasury.unwrap_or_else(|| operator.address()),
        fee_bps: args.fee_bps,
        coordinator_key: key.address(),
    };
    let signed = network.sign(&key);
    write_new(&manifest, &serde_json::to_vec_pretty(&signed)?, 0o644)?;
    let mut out = io::stdout();
    if args.json {
        let facts = json!({
            "manifest": manifest, "token": deployed.token, "settlement": deployed.settlement,
            "token_tx": deployed.token_tx, "settlement_tx": deployed.settlement_tx,
        });
        writeln!(out, "{facts}")?;
    } else {
        writeln!(
            out,
            "Token       {}\nSettlement  {}\nManifest    {}",
            deployed.token,
            deployed.settlement,
            manifest.display()
        )?;
    }
    Ok(())
}

pub(crate) async fn mint(args: &MintArgs) -> Result<()> {
    let network = read_manifest(&args.home)?.verified().context("the network's manifest is not valid")?;
    let chain = Chain::connect(http()?, &network, Timing::default()).await?;
    let mined = chain.mint(&args.key.read()?, args.to, args.amount).await?;
    writeln!(
        io::stdout(),
        "Minted {} tokens to {} in transaction {}",
        args.amount,
        args.to.to_checksum(None),
        mined.tx
    )?;
    Ok(())
}

/// The manifest that `deploy` wrote.
pub(crate) fn read_manifest(home: &Path) -> Result<SignedNetwork> {
    let path = home.join(MANIFEST);
    let bytes = fs::read(&path)
        .with_context(|| format!("{} can't be read: run `surge-coordinator deploy` first", path.display()))?;
    serde_json::from_slice(&bytes).with_context(|| format!("{} is no network manifest", path.display()))
}

/// A key from its file.
pub(crate) fn read_key(path: &Path) -> Result<Key> {
    let text = fs::read_to_string(path).with_context(|| format!("the key file {} can't be read", path.display()))?;
    let mut secret = [0; 32];
    hex::decode_to_slice(text.trim().trim_start_matches("0x"), &mut secret)
        .ok()
        .and_then(|()| Key::from_bytes(&secret).ok())
        .with_context(|| format!("{} holds no key: it must be 64 hex digits", path.display()))
}

/// The key in `path`, made where there is none.
fn make_key(path: &Path) -> Result<Key> {
    if !path.exists() {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|error| anyhow::anyhow!("this machine has no random numbers: {error}"))?;
        write_new(path, hex::encode(secret).as_bytes(), 0o600)?;
    }
    read_key(path)
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().with_context(|| format!("{} can't be written", path.display()))
}

/// The client to the chain, through the proxy that the environment names.
fn http() -> Result<reqwest::Client> {
    reqwest::Client::builder().build().context("the system's certificates can't be used")
}

/// One coordinator a home, until the process ends.
pub(crate) fn lock(home: &Path) -> Result<File> {
    let path = home.join("coordinator.lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.with_context(|| format!("{} can't be opened", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => bail!("a coordinator runs already with the home {}", home.display()),
        Err(fs::TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("{} can't be locked", path.display()))
        }
    }
}

/// The worker given, else the one beside this program.
pub(crate) fn worker(given: Option<PathBuf>) -> Result<PathBuf> {
    let path = match given {
        Some(path) => path,
        None => std::env::current_exe()?.with_file_name("surge-worker"),
    };
    if !path.is_file() {
        bail!("there is no worker at {}: name it with --worker", path.display());
    }
    Ok(path)
}
