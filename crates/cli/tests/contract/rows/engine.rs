//! The engine, and questions to it.

use super::{Row, fails};
use crate::home::Kind::{
    Attached, BrokenManifest, BrokenSettings, BrokenStore, Deep, Empty, File, ForeignSettings, Missing, Nowhere,
};

pub(super) const ROWS: &[Row] = &[
    fails(Empty, &["run", "--exit-when-not-set-up", "--share-machine"], 10, "no_network"),
    fails(Missing, &["run", "--exit-when-not-set-up", "--share-machine"], 10, "no_network"),
    fails(Deep, &["run", "--exit-when-not-set-up", "--share-machine"], 10, "no_network"),
    fails(Attached, &["run", "--exit-when-not-set-up", "--share-machine"], 10, "no_payout"),
    fails(File, &["run"], 11, "bad_home"),
    fails(Nowhere, &["run"], 1, "home_unusable"),
    fails(Nowhere, &["status"], 20, "not_running"),
    fails(BrokenManifest, &["run", "--exit-when-not-set-up", "--share-machine"], 11, "malformed_file"),
    fails(BrokenSettings, &["run", "--exit-when-not-set-up", "--share-machine"], 11, "bad_settings"),
    fails(ForeignSettings, &["run", "--exit-when-not-set-up", "--share-machine"], 11, "bad_settings"),
    fails(Empty, &["run", "--idle-after", "5"], 2, "usage"),
    fails(Empty, &["run", "--presence", "maybe"], 2, "usage"),
    fails(Empty, &["run", "--workers", "-1"], 2, "usage"),
    fails(Empty, &["status"], 20, "not_running"),
    fails(Missing, &["status"], 20, "not_running"),
    fails(File, &["status"], 11, "bad_home"),
    fails(Deep, &["status"], 20, "not_running"),
    fails(Empty, &["status", "--watch"], 20, "not_running"),
    fails(Empty, &["why"], 20, "not_running"),
    fails(Empty, &["session", "now"], 2, "usage"),
    fails(Empty, &["resume"], 20, "not_running"),
    fails(Empty, &["pause"], 20, "not_running"),
    fails(Empty, &["pause", "1h30m"], 20, "not_running"),
    fails(Empty, &["pause", "2"], 2, "usage"),
    fails(Empty, &["pause", "0s"], 2, "usage"),
    fails(Empty, &["pause", "2399999999976h"], 2, "usage"),
    fails(Empty, &["pause", "2h", "--finish"], 2, "usage"),
    fails(Empty, &["pause", "--until", "25:00"], 2, "usage"),
    fails(Empty, &["timeline", "--days", "0"], 2, "usage"),
    fails(Empty, &["timeline", "--days", "31"], 2, "usage"),
    fails(BrokenStore, &["timeline"], 1, "store_unusable"),
    fails(Empty, &["report", "--out", "{desk}/network.json", "--yes"], 2, "out_exists"),
    fails(Empty, &["report", "--out", "{desk}/folder", "--yes"], 2, "out_unwritable"),
    fails(Empty, &["frobnicate"], 2, "usage"),
    fails(Empty, &["stats"], 2, "usage"),
];
