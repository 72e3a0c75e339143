//! Declares the webview's commands, so that each is denied unless a capability allows it.

use tauri_build::{AppManifest, Attributes};

const COMMANDS: &[&str] = &["watch", "pause", "finish", "resume", "start", "stay", "close", "quit"];

fn main() {
    let commands = AppManifest::new().commands(COMMANDS);
    if let Err(error) = tauri_build::try_build(Attributes::new().app_manifest(commands)) {
        panic!("{error:#}");
    }
}
