//! Keys and money.

use super::{Row, fails};
use crate::home::Kind::{Attached, Empty, File, Nowhere};

const ADDRESS: &str = "0x52908400098527886E0F7030069857D2E4169EE7";

pub(super) const ROWS: &[Row] = &[
    fails(File, &["wallet", "new"], 11, "bad_home"),
    fails(Nowhere, &["wallet", "new"], 1, "home_unusable"),
    fails(Empty, &["wallet", "--passphrase-file", "{desk}/missing", "new"], 11, "bad_file"),
    fails(Empty, &["wallet", "--passphrase-file", "{desk}/folder", "new"], 11, "bad_file"),
    fails(Empty, &["wallet", "--passphrase-file", "{desk}/pipe", "new"], 11, "bad_file"),
    fails(Empty, &["wallet", "--passphrase-file", "/dev/zero", "new"], 11, "bad_file"),
    fails(Empty, &["wallet", "--passphrase-file", "{desk}/large.json", "new"], 11, "bad_file"),
    fails(Empty, &["wallet", "--passphrase-file", "{desk}/no-passphrase", "new"], 11, "bad_file"),
    fails(File, &["wallet", "import"], 11, "bad_home"),
    fails(Nowhere, &["wallet", "import"], 1, "home_unusable"),
    fails(Empty, &["wallet", "import"], 1, "words_count"),
    fails(Empty, &["wallet", "import"], 1, "words_count").with_input("one\ntwo\n"),
    fails(Empty, &["wallet", "address"], 10, "wallet_absent"),
    fails(Empty, &["wallet", "balance"], 10, "wallet_absent"),
    fails(Empty, &["wallet", "claim"], 10, "wallet_absent"),
    fails(Attached, &["wallet", "claim"], 10, "wallet_absent"),
    fails(Empty, &["wallet", "withdraw", "much", "--to", ADDRESS], 2, "usage"),
    fails(Empty, &["wallet", "withdraw", "1"], 2, "usage"),
    fails(Empty, &["wallet", "withdraw", "1", "--to", ADDRESS], 10, "wallet_absent"),
    fails(Empty, &["wallet", "deposit", "1"], 10, "wallet_absent"),
    fails(Empty, &["wallet", "bind"], 10, "wallet_absent"),
    fails(Empty, &["wallet", "delete"], 2, "usage"),
    fails(Empty, &["wallet", "delete", "--confirm", "me"], 2, "usage"),
    fails(Empty, &["wallet", "delete", "--confirm", ADDRESS], 10, "wallet_absent"),
    fails(Empty, &["earnings"], 10, "no_network"),
    fails(Attached, &["earnings"], 10, "no_payout"),
];
