//! What is seen of the app from outside: its window, its tray icon, its processes.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use surge_tests::screen::{Area, Picture};
use surge_tests::tray_host::{MenuLine, TrayItem};

/// The window's colours in light, from `ui/src/app.css`.
pub(crate) const PAPER: [u8; 3] = [0xfc, 0xfc, 0xfb];
pub(crate) const ACCENT: [u8; 3] = [0x0a, 0x75, 0x67];
pub(crate) const ATTENTION: [u8; 3] = [0x9a, 0x4a, 0x00];
/// Ten times what the slowest step has needed on two busy cores.
const PATIENCE: Duration = Duration::from_secs(90);

/// Asks until there is an answer. What it waits for is pixels and other processes, which send no event to wait on.
pub(crate) async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    let patience = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask().await? {
            return Ok(answer);
        }
        ensure!(Instant::now() < patience, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

pub(crate) async fn tooltip(item: &TrayItem, headline: &str) -> Result<()> {
    eventually(&format!("the tooltip {headline:?}"), async || Ok((item.tooltip().await? == headline).then_some(())))
        .await
}

pub(crate) async fn menu(item: &TrayItem, wanted: &[&str]) -> Result<()> {
    let label = |line: &MenuLine| if line.separator { "---".into() } else { line.label.clone() };
    eventually(&format!("the menu {wanted:?}"), async || {
        let lines: Vec<String> = item.lines().await?.iter().map(label).collect();
        Ok((lines == wanted).then_some(()))
    })
    .await
}

/// How many processes of `app` hold a webview.
pub(crate) fn web_processes(app: u32) -> Result<usize> {
    let children = std::fs::read_dir("/proc")?.flatten().filter_map(|entry| {
        let status = std::fs::read_to_string(entry.path().join("status")).ok()?;
        let field = |name: &str| Some(status.lines().find_map(|line| line.strip_prefix(name))?.trim().to_owned());
        (field("PPid:")? == app.to_string()).then(|| field("Name:"))?
    });
    Ok(children.filter(|name| name.starts_with("WebKitWebProces")).count())
}

/// The one wide button in the accent's colour, where there is one: Resume, Start, or the first of the dialog's.
pub(crate) fn wide_button(picture: &Picture) -> Option<Area> {
    let area = picture.area_of(ACCENT)?;
    (area.pixels > 5_000 && area.right - area.left > picture.width / 2).then_some(area)
}

pub(crate) fn middle(from: usize, to: usize) -> i16 {
    i16::try_from(usize::midpoint(from, to)).expect("a window is smaller than 32767 pixels")
}
