//! `surge submit`, `surge job`: a job's description in TOML, its order, its results.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::json;
use surge_contributor::files::{read_bounded, read_text, write_atomic};
use surge_contributor::{read_network, unix_now};
use surge_platform::paths::Paths;
use surge_protocol::api::{JobState, OpenSession, SubmitJob};
use surge_protocol::sign::Signed;
use surge_protocol::task::{BlobRef, DataSet, Limits, Meter, valid_data_name};
use surge_protocol::{Address, Amount, Digest};
use surge_wallet::Vault;

use crate::coordinator::Coordinator;
use crate::failure::{Failure, one_line};
use crate::passphrase::PassphraseArgs;
use crate::say::{counted, json_line, line};

/// The largest description of a job, and the largest file that it may name, bytes.
const DESCRIPTION: u64 = 16 << 20;
const BLOB: u64 = 256 << 20;

/// A job as its requester writes it. Paths are relative to the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    name: String,
    module: PathBuf,
    #[serde(default)]
    args: Vec<String>,
    /// Tokens for one accepted execution.
    price: String,
    quorum: u8,
    #[serde(default)]
    seed: u64,
    deadline_minutes: u64,
    /// One file for each task: its standard input.
    inputs: Vec<PathBuf>,
    #[serde(default)]
    limits: LimitsDescription,
    #[serde(default)]
    data: BTreeMap<String, PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitsDescription {
    memory_mib: Option<u64>,
    cpu_seconds: Option<u64>,
    output_mib: Option<u64>,
}

/// A job ready to be signed, with the bytes of its blobs.
#[derive(Debug)]
struct Prepared {
    submit: SubmitJob,
    blobs: BTreeMap<Digest, Vec<u8>>,
}

/// Reads a description and everything that it names.
///
/// # Errors
/// With the file and what is wrong in it.
fn prepare(path: &Path, now: u64, nonce: u64) -> Result<Prepared> {
    let text = read_text(path, DESCRIPTION)?;
    let wrong = |message: String| Failure::new("bad_job", format!("{}: {message}", path.display()));
    let description: Description = toml::from_str(&text).map_err(|error| {
        let line = error.span().and_then(|span| text.get(..span.start)).map(|before| before.matches('\n').count() + 1);
        let line = line.map(|line| format!("line {line}: ")).unwrap_or_default();
        wrong(format!("{line}{}", one_line(error.message())))
    })?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut blobs = BTreeMap::new();
    let mut blob = |path: &Path| -> Result<BlobRef> {
        let path = folder.join(path);
        let bytes = read_bounded(&path, BLOB)?;
        let blob = BlobRef { digest: Digest::of(&bytes), size: bytes.len() as u64 };
        blobs.insert(blob.digest, bytes);
        Ok(blob)
    };
    let module = blob(&description.module)?;
    let inputs = description.inputs.iter().map(|input| blob(input)).collect::<Result<Vec<_>>>()?;
    if inputs.is_empty() {
        return Err(wrong("inputs is empty: a job has a task for each input".to_owned()).into());
    }
    let mut data = Vec::new();
    for (name, file) in &description.data {
        if !valid_data_name(name) {
            let message = format!("{name:?} can't name a data set: use letters, digits, dot, dash and underscore");
            return Err(wrong(message).into());
        }
        let BlobRef { digest, size } = blob(file)?;
        data.push(DataSet { name: name.clone(), digest, size });
    }
    let price: Amount =
        description.price.parse().map_err(|error| wrong(format!("price = {:?}: {error}", description.price)))?;
    let submit = SubmitJob {
        name: description.name,
        // Known, like the signature, when the wallet is unlocked.
        requester: Address::ZERO,
        module,
        args: description.args,
        data,
        limits: limits(&description.limits),
        meter: Meter::None,
        seed: description.seed,
        inputs,
        price,
        quorum: description.quorum,
        deadline: now.saturating_add(description.deadline_minutes.saturating_mul(60)),
        nonce,
        signature: Signed([0; 65]),
    };
    Ok(Prepared { submit, blobs })
}

fn limits(given: &LimitsDescription) -> Limits {
    let usual = Limits::default();
    Limits {
        memory_bytes: given.memory_mib.map_or(usual.memory_bytes, |mib| mib.saturating_mul(1 << 20)),
        cpu_ms: given.cpu_seconds.map_or(usual.cpu_ms, |seconds| seconds.saturating_mul(1_000)),
        output_bytes: given.output_mib.map_or(usual.output_bytes, |mib| mib.saturating_mul(1 << 20)),
        ..usual
    }
}

/// `surge submit`: uploads what is missing, signs the order, submits.
pub(crate) async fn submit(paths: &Paths, passphrase: &PassphraseArgs, path: &Path, json: bool) -> Result<ExitCode> {
    let network = read_network(&paths.network())?;
    let now = unix_now();
    let Prepared { mut submit, blobs } = prepare(path, now, nonce()?)?;
    let budget = submit.budget().ok_or_else(|| {
        Failure::new("bad_job", format!("{}: price × quorum × inputs is more than any balance can be", path.display()))
    })?;
    let wallet = passphrase.unlock(&Vault::at(&paths.wallet()))?;
    submit.requester = wallet.address();
    submit.signature = wallet.sign_order(&network, &submit).context("this wallet can't sign the order")?;
    let coordinator = Coordinator::of(paths, &network)?;
    let open = OpenSession { who: wallet.address(), issued_at: now, signature: wallet.sign_session(&network, now) };
    let token = coordinator.open_session(&open).await?;
    for bytes in blobs.into_values() {
        coordinator.put_blob(&token, bytes).await?;
    }
    let job = coordinator.submit(&token, &submit).await?;
    if json {
        return json_line(&json!({ "job": job, "tasks": submit.inputs.len(), "budget": budget }));
    }
    line(&format!("Submitted {}, at most {budget} tokens.", counted(submit.inputs.len(), "task")))?;
    line(&format!("Job {job}"))?;
    line("Look with `surge job status JOB`; get the results with `surge job fetch JOB --out FOLDER`.")?;
    Ok(ExitCode::SUCCESS)
}

/// `surge job status`.
pub(crate) async fn status(paths: &Paths, job: Digest, json: bool) -> Result<ExitCode> {
    let status = Coordinator::of(paths, &read_network(&paths.network())?)?.job(job).await?;
    if json {
        return json_line(&status);
    }
    let state = match status.state {
        JobState::Running => "running",
        JobState::Done => "done",
        JobState::Failed => "failed",
    };
    line(&format!("{} is {state}: {} of {} validated", status.name, status.validated, counted(status.tasks, "task")))?;
    line(&format!("waiting {}, running {}, failed {}", status.waiting, status.running, status.failed))?;
    line(&format!(
        "spent {} of at most {} tokens; {} rejected",
        status.spent,
        status.budget,
        counted(status.rejected, "wrong result")
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// `surge job fetch`: writes each validated task's output to `FOLDER/INDEX.out`.
pub(crate) async fn fetch(paths: &Paths, job: Digest, out: &Path, json: bool) -> Result<ExitCode> {
    let coordinator = Coordinator::of(paths, &read_network(&paths.network())?)?;
    let rows = coordinator.results(job).await?;
    std::fs::create_dir_all(out).with_context(|| format!("{} can't be made", out.display()))?;
    for row in &rows {
        let bytes = coordinator.blob(row.output).await?;
        let file = out.join(format!("{:06}.out", row.index));
        write_atomic(&file, &bytes, 0o644).with_context(|| format!("{} can't be written", file.display()))?;
    }
    if json {
        return json_line(&rows);
    }
    line(&format!("{} in {}", counted(rows.len(), "result"), out.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// Makes two orders of the same content two jobs.
fn nonce() -> Result<u64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("this system gives no randomness: {error}"))?;
    Ok(u64::from_le_bytes(bytes))
}
