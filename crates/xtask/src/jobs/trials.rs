//! On which inputs a fresh module is compared with the one that is checked in: they reach every part of a program in
//! little time, and one of them is to be refused.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::plan;

/// One run of a program.
#[derive(Debug, Default)]
pub(super) struct Trial {
    pub(super) args: Vec<&'static str>,
    pub(super) stdin: Vec<u8>,
    /// Data sets by the name under `/data`.
    pub(super) data: Vec<(&'static str, PathBuf)>,
    /// The outcome.
    pub(super) ends: &'static str,
}

pub(super) fn trials(program: &str) -> Result<Vec<Trial>> {
    let numbers: String = (1..=3_000).map(|n| format!("{n}\n")).collect();
    let with = |args: &[&'static str], stdin: &str| (args.to_vec(), stdin.to_owned());
    let done = match program {
        "mersenne" => vec![with(&[], "2-1300\n"), with(&[], "2203 3001 7001 # three transforms\n")],
        "render" => {
            let corners = [(0, 0), (150, 100), (320, 180), (500, 300)];
            let tile =
                |(left, top)| format!("picture 640 360\nsamples 16\ntile {left} {top} 64 48\nseed {}\n", left + top);
            corners.into_iter().map(|corner| (Vec::new(), tile(corner))).collect()
        }
        "align" => slices()?.into_iter().map(|slice| (Vec::new(), slice)).collect(),
        "collatz" => vec![with(&[], "2"), with(&[], "300000\n")],
        "primes" => vec![with(&[], "2"), with(&[], "3000000\n")],
        "words" => vec![with(&[], ""), with(&[], &numbers)],
        "conformance" => {
            vec![with(&["list"], ""), with(&["fd_readdir", "tmp"], ""), with(&["path_rename", "state"], "")]
        }
        "solver" => vec![with(&[], "p cnf 2 2\n1 2 0\n-1 0\n"), with(&[], "p cnf 1 2\n1 0\n-1 0\n")],
        "bzip2" | "gzip" => vec![with(&["-c"], &numbers), with(&["-c"], "")],
        "qjs" => vec![with(&["-e", "console.log([3, 1, 2].sort(), 2n ** 99n, /a(b)/.exec('ab')[1])"], "")],
        _ => vec![with(&["/tmp/d"], "create table t(n); insert into t values (1), (2); select sum(n) from t;")],
    };
    let refused = match program {
        "words" => None,
        "conformance" => Some((vec!["proc_exit-failure"], String::new())),
        "bzip2" | "gzip" => Some((vec!["-d"], "not compressed".to_owned())),
        "qjs" => Some((vec!["-e", "throw new Error()"], String::new())),
        _ => Some((vec!["/tmp/d"], "no such input\n".to_owned())),
    };
    let data = if program == "align" { plan(program, 0)?.data } else { Vec::new() };
    let trial = |ends| {
        let data = data.clone();
        move |(args, stdin): (Vec<&'static str>, String)| Trial {
            args,
            stdin: stdin.into_bytes(),
            data: data.clone(),
            ends,
        }
    };
    Ok(done.into_iter().map(trial("done")).chain(refused.into_iter().map(trial("exit"))).collect())
}

/// Queries of `align` against a part of its database.
fn slices() -> Result<BTreeSet<String>> {
    let shorter = |seed| {
        let text = String::from_utf8(plan("align", seed)?.inputs.swap_remove(0)).context("an input is not text")?;
        let query = text.split_once('\n').context("an input has a query")?.1;
        Ok(format!("slice 700 60\n{query}"))
    };
    (0..4).map(shorter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::shelf;

    #[test]
    fn every_program_is_tried() {
        for program in shelf::ALL.iter().flat_map(|shelf| shelf.programs) {
            let trials = trials(program.name).unwrap();
            assert!(trials.iter().any(|trial| trial.ends == "done"), "{}", program.name);
        }
    }
}
