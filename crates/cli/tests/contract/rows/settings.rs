//! Settings, and the network that a home is attached to.

use super::{Row, fails};
use crate::home::Kind::{BrokenSettings, Empty, File, ForeignSettings, Missing};

pub(super) const ROWS: &[Row] = &[
    fails(BrokenSettings, &["limits"], 11, "bad_settings"),
    fails(ForeignSettings, &["limits"], 11, "bad_settings"),
    fails(Empty, &["limits", "set"], 2, "usage"),
    fails(Empty, &["limits", "set", "cpu_percent"], 2, "bad_change"),
    fails(Empty, &["limits", "set", "cpu_percent=400"], 2, "bad_change"),
    fails(Empty, &["limits", "set", "worker=2"], 2, "bad_change"),
    fails(Empty, &["limits", "set", "schedule=mon 8:00-9:00"], 2, "bad_change"),
    fails(Empty, &["limits", "set", "cpu_percent=10", "in_use_cpu_percent=20"], 2, "bad_change"),
    fails(BrokenSettings, &["limits", "set", "workers=2"], 11, "bad_settings"),
    fails(ForeignSettings, &["limits", "set", "workers=2"], 11, "bad_settings"),
    fails(File, &["limits", "set", "workers=2"], 11, "bad_home"),
    fails(Empty, &["limits", "preset", "loud"], 2, "usage"),
    fails(BrokenSettings, &["limits", "preset", "quiet"], 11, "bad_settings"),
    fails(File, &["limits", "preset", "quiet"], 11, "bad_home"),
    fails(Empty, &["attach"], 2, "usage"),
    fails(Empty, &["attach", "ftp://a.example"], 2, "usage"),
    fails(Empty, &["attach", "http://"], 2, "usage"),
    fails(Empty, &["attach", "127.0.0.1:9"], 21, "coordinator_unreachable"),
    fails(Empty, &["attach", "HTTP://127.0.0.1:9/"], 21, "coordinator_unreachable"),
    fails(Empty, &["attach", "nothing-here.json"], 11, "bad_file"),
    fails(Empty, &["attach", "{desk}/folder"], 11, "bad_file"),
    fails(Empty, &["attach", "{desk}/pipe"], 11, "bad_file"),
    fails(Empty, &["attach", "/dev/zero"], 11, "bad_file"),
    fails(Empty, &["attach", "{desk}/large.json"], 11, "bad_file"),
    fails(Empty, &["attach", "{desk}/empty.json"], 11, "bad_network"),
    fails(Empty, &["attach", "{desk}/latin.json"], 11, "bad_network"),
    fails(Empty, &["attach", "{desk}/forged.json"], 11, "bad_network"),
    fails(Empty, &["attach", "-"], 11, "bad_network"),
    fails(Empty, &["attach", "-"], 11, "bad_network").with_input("no JSON"),
    fails(File, &["attach", "{desk}/network.json"], 11, "bad_home"),
    fails(Missing, &["attach", "{desk}/empty.json"], 11, "bad_network"),
    fails(BrokenSettings, &["attach", "127.0.0.1:9"], 11, "bad_settings"),
];
