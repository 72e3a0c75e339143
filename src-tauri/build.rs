//! Declares the webview's commands, so that each is denied unless a capability allows it.

use tauri_build::{AppManifest, Attributes};

fn main() {
    let commands = AppManifest::new().commands(&["watch", "pause", "finish", "resume", "stay", "close", "quit"]);
    if let Err(error) = tauri_build::try_build(Attributes::new().app_manifest(commands)) {
        panic!("{error:#}");
    }
}
