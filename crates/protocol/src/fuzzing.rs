//! What fuzzers do with the documents that arrive from coordinators, nodes and requesters. It panics where a promise
//! is broken.
//!
//! Deliberately absent from what ships: it is compiled for tests and under the feature `fuzzing`, which only `fuzz/`
//! asks for.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::api::{
    Account, ApiError, Heartbeat, HeartbeatReply, JobStatus, JobSubmitted, LeaseReply, LeaseRequest, NetworkStatus,
    OpenSession, Registration, ResultReply, ReturnLease, SessionToken, SignedResult, SubmitJob, TaskResultRow,
};
use crate::epoch::{EpochFile, SignedReceipt};
use crate::merkle::{self, Side};
use crate::network::SignedNetwork;
use crate::{Amount, Digest};

/// A document of the kind that the first byte chooses.
pub fn document(bytes: &[u8]) {
    let Some((&kind, text)) = bytes.split_first() else { return };
    match kind {
        0 => drop(read::<SignedNetwork>(text).map(SignedNetwork::verified)),
        1 => read::<EpochFile>(text).iter().for_each(epoch),
        2 => drop(read::<SignedReceipt>(text).map(|signed| signed.receipt.debit())),
        3 => drop(read::<SubmitJob>(text).map(|job| (job.budget(), job.order()))),
        4 => drop(read::<SignedResult>(text).map(|signed| signed.result.message())),
        5 => drop(read::<LeaseReply>(text)),
        // A load of 1e39 reads as infinite, which matching takes for too much and JSON can't write.
        6 => drop(serde_json::from_slice::<LeaseRequest>(text)),
        7 => drop(read::<Registration>(text)),
        8 => drop(read::<OpenSession>(text)),
        9 => drop(read::<SessionToken>(text)),
        10 => drop(read::<Heartbeat>(text)),
        11 => drop(read::<HeartbeatReply>(text)),
        12 => drop(read::<ReturnLease>(text)),
        13 => drop(read::<ResultReply>(text)),
        14 => drop(read::<JobSubmitted>(text)),
        15 => drop(read::<JobStatus>(text)),
        16 => drop(read::<TaskResultRow>(text)),
        17 => drop(read::<Account>(text)),
        18 => drop(read::<NetworkStatus>(text)),
        19 => drop(read::<ApiError>(text)),
        20 => drop(shown::<Amount>(text)),
        21 => drop(shown::<Digest>(text)),
        _ => {}
    }
}

/// What can be read can be written, and reads the same again.
fn read<T: Serialize + DeserializeOwned>(text: &[u8]) -> Option<T> {
    let read: T = serde_json::from_slice(text).ok()?;
    let written = serde_json::to_vec(&read).expect("what was read has string keys only");
    let again: T = serde_json::from_slice(&written).expect("what was written can be read");
    assert_eq!(written, serde_json::to_vec(&again).expect("as before"));
    Some(read)
}

/// What parses, shows as a text that parses to the same.
fn shown<T: std::str::FromStr<Err: fmt::Debug> + fmt::Display + PartialEq + fmt::Debug>(text: &[u8]) -> Option<T> {
    let parsed: T = std::str::from_utf8(text).ok()?.parse().ok()?;
    assert_eq!(parsed.to_string().parse::<T>().expect("what is shown parses"), parsed);
    Some(parsed)
}

fn epoch(file: &EpochFile) {
    // The next epoch of a network whose rows stay as they are.
    let _ = (file.check(None), file.check(Some(file)), file.data_hash());
    for side in [Side::Credit, Side::Debit] {
        let _ = (file.root(side), file.total(side));
    }
    for row in &file.credits {
        let (amount, proof) = file.credit_proof(row.account).expect("the account has a row");
        let leaf = merkle::leaf(file.chain_id, file.settlement, Side::Credit, row.account, amount);
        assert!(merkle::verify(file.root(Side::Credit), leaf, &proof), "a credit that can't be claimed");
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn what_the_fuzzers_found_in_documents_is_read() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/documents");
        let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(!files.is_empty(), "{} is empty", folder.display());
        for file in files {
            println!("{}", file.display());
            super::document(&std::fs::read(file).unwrap());
        }
    }
}
