//! Jobs and tasks.

use super::{Row, fails};
use crate::home::Kind::{Attached, Empty};

const JOB: &str = "0000000000000000000000000000000000000000000000000000000000000001";

pub(super) const ROWS: &[Row] = &[
    fails(Empty, &["submit"], 2, "usage"),
    fails(Empty, &["submit", "{desk}/job.toml"], 10, "no_network"),
    fails(Attached, &["submit", "{desk}/job.toml"], 11, "bad_job"),
    fails(Attached, &["submit", "{desk}/unknown.toml"], 11, "bad_job"),
    fails(Attached, &["submit", "{desk}/missing.toml"], 11, "bad_file"),
    fails(Attached, &["submit", "{desk}/folder"], 11, "bad_file"),
    fails(Attached, &["submit", "{desk}/pipe"], 11, "bad_file"),
    fails(Attached, &["submit", "{desk}/latin.json"], 11, "bad_file"),
    fails(Empty, &["job", "status", "7"], 2, "usage"),
    fails(Empty, &["job", "status", JOB], 10, "no_network"),
    fails(Attached, &["job", "status", JOB], 21, "coordinator_unreachable"),
    fails(Empty, &["job", "fetch", JOB], 2, "usage"),
    fails(Empty, &["job", "fetch", JOB, "--out", "{desk}/out"], 10, "no_network"),
    fails(Attached, &["job", "fetch", JOB, "--out", "{desk}/out"], 21, "coordinator_unreachable"),
    fails(Empty, &["task", "run"], 2, "usage"),
    fails(Empty, &["task", "run", "{desk}/missing.wasm"], 2, "module_unreadable"),
    fails(Empty, &["task", "run", "{desk}/folder"], 2, "module_unreadable"),
    fails(Empty, &["task", "run", "{desk}/pipe"], 2, "module_unreadable"),
    fails(Empty, &["task", "run", "/dev/zero"], 2, "module_unreadable"),
    fails(Empty, &["task", "run", "{desk}/module.wasm", "--stdin", "{desk}/folder"], 2, "stdin_unreadable"),
    fails(Empty, &["task", "run", "{desk}/module.wasm", "--data", "a={desk}/pipe"], 2, "data_unreadable"),
    fails(Empty, &["task", "run", "{desk}/module.wasm", "--memory-mib", "0"], 2, "usage"),
    fails(Empty, &["task", "run", "{desk}/module.wasm", "--kill-at", "inf"], 2, "usage"),
    fails(Empty, &["task", "run", "{desk}/module.wasm", "--fuel-budget", "5"], 2, "fuel_unmetered"),
];
