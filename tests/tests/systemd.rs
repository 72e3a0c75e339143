//! Surge under a systemd that runs: the short version of `cargo xtask systemd`.

use std::io::Write;

use surge_tests::machine::{usual_root, why_not};
use surge_tests::systemd::{Length, run};

#[test]
fn a_machine_with_the_system_service_keeps_its_promises() {
    let root = usual_root();
    if let Some(why) = why_not(&root) {
        // Seen with --nocapture, and by whoever asks why it was so fast.
        let _ = writeln!(std::io::stderr(), "not tried: {why}");
        return;
    }
    let rows = run(&root, Length::Short, |_| {}).expect("the machine comes up");
    let failed: Vec<_> = rows.iter().filter(|row| row.found.is_err()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(rows.len() > 8, "{rows:#?}");
}
